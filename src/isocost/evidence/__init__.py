"""Measured runs: read, checked, completed where a source is silent, scored."""
