"""What a model is made of: ``isocost model``."""
