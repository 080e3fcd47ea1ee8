"""Draws, attribution and least squares; knows no GPU."""
