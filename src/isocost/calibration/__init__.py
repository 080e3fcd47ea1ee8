"""Measured runs: reading them, judging predictions against them, fitting constants to them."""
