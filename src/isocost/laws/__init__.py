"""The formulas, one topic a file; they take numbers and know neither catalogue nor workload."""
