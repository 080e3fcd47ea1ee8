"""isocost: what a training run needs in time, memory and money, and why."""

__version__ = "0.1.0"
