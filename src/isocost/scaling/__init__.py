"""What to train: scaling laws, their fit, and the size and data that arithmetic, data, serving and money allow."""
