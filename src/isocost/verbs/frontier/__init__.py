"""What to train for a budget, a deadline and data: ``isocost frontier``."""
