"""Logs and traces of runs as they were: steps, statistics, where the time went."""
