"""Logs of runs: steps, steady step times, pauses, stops."""
