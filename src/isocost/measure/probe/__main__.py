"""``python -m isocost.measure.probe``."""

import sys

from isocost.measure.probe.run import main

sys.exit(main())
