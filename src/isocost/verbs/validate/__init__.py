"""What predictions are worth: ``isocost validate``."""
