"""The bill of the whole program around a plan: ``isocost program``."""
