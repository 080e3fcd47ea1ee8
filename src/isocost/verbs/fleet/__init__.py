"""A fleet: which workload runs on which offer, on how many nodes and when, at the least bill."""
