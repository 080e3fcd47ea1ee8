"""Write docs/constants.md: run after a fit, or after a recipe or a correction changed.

make pages
"""

from __future__ import annotations

from pathlib import Path

from pages.accuracy_study import study
from pages.constants import constants_page

PAGE = Path(__file__).parents[2] / "docs" / "constants.md"

if __name__ == "__main__":
    PAGE.write_text(constants_page(study()), encoding="utf-8")
