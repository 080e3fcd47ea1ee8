"""The dated facts: ``isocost catalog``."""
