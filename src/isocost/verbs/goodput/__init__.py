"""Where the time of a run goes, and how often to save: ``isocost goodput``."""
