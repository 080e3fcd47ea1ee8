"""``python -m isocost`` is ``isocost``."""

from isocost.cli import main

main()
