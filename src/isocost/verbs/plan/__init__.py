"""Which accelerator, GPU count and layout: ``isocost plan``, ``estimate`` and ``explain``."""
