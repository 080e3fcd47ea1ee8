"""Settings shared by all tests: Hypothesis draws the same examples every time, and never fails for a slow machine;
text is as wide as where there is no screen, whatever the screen that runs them.
"""

import os

from hypothesis import settings

settings.register_profile("isocost", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("isocost")
os.environ.pop("COLUMNS", None)
