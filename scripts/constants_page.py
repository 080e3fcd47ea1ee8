"""Write docs/constants.md: run after a fit, or after a recipe or a correction changed.

python scripts/constants_page.py
"""

from __future__ import annotations

from pathlib import Path

from isocost.report.accuracy_study import study
from isocost.report.constants_page import constants_page

PAGE = Path(__file__).parents[1] / "docs" / "constants.md"

if __name__ == "__main__":
    PAGE.write_text(constants_page(study()), encoding="utf-8")
