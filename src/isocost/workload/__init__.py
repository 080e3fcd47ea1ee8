"""What is trained: the shape of a model, its exact parameters and its FLOPs per token."""
