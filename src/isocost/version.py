"""The version of isocost, read by the build, the command line and every JSON answer."""

__version__ = "0.1.0"
