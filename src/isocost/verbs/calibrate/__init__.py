"""Constants of the user's own stack and site: ``isocost calibrate``."""
