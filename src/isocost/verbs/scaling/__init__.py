"""Laws of loss, and the fit of your own: ``isocost scaling``."""
