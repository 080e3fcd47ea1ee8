"""``python -m isocost`` is ``isocost``."""

import sys

try:
    from isocost.cli import main
except KeyboardInterrupt:  # in the first tenth of a second, while Python still imports
    print("isocost: interrupted", file=sys.stderr)
    sys.exit(130)

main()
