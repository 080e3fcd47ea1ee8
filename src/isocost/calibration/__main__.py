"""Fit the shipped constants and their intervals, as `make calibrate` does."""

from __future__ import annotations

import argparse
from pathlib import Path

from isocost.calibration.publish import publish


def main() -> None:
    """Read the evidence, fit, write constants.toml, intervals.toml and left_out.csv."""
    parser = argparse.ArgumentParser(prog="python -m isocost.calibration", description=__doc__)
    parser.add_argument("runs", type=Path, help="measured runs in the evidence format")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="directory of constants, intervals and left-out errors"
    )
    parser.add_argument(
        "--no-intervals", action="store_true", help="fit the constants only (seconds instead of minutes)"
    )
    arguments = parser.parse_args()
    publish(arguments.runs, arguments.output, intervals=not arguments.no_intervals)


if __name__ == "__main__":
    main()
