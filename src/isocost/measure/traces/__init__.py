"""Traces of a profiler: kernels, collectives, and each rank's share of the step."""
