"""Two offers for one run side by side: ``isocost compare``."""
