"""Every way to pay for a plan, where owning breaks even, whether to wait: ``isocost tco``."""
