"""The wheel, installed into an empty environment and used outside the checkout."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel, built from the tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", str(folder), str(ROOT)], check=True)
    (found,) = folder.glob("isocost-*.whl")
    return found


def test_the_wheel_holds_the_package_and_its_facts_only(wheel: Path) -> None:
    """No page generator, test or example is in it; the measured runs that validate compares with are."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"isocost", wheel.name.rsplit("-py3", 1)[0] + ".dist-info"}
    assert "isocost/data/training_runs.csv" in names
    assert [name for name in names if "page" in name or name.startswith("isocost/tests")] == []


def test_every_verb_of_the_readme_answers(wheel: Path, tmp_path: Path) -> None:
    """The commands of the README run as printed, in an environment that has nothing but the wheel and what it needs."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "install", str(wheel)], check=True)
    work = tmp_path / "work"
    work.mkdir()
    shutil.copytree(ROOT / "examples", work / "examples")
    lines = [line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    commands = [line for line in lines if line.startswith("isocost ")]
    assert len(commands) > 15
    clean = {"PATH": f"{environment / 'bin'}:{os.defpath}", "HOME": str(tmp_path)}
    for command in commands:
        done = subprocess.run(shlex.split(command), cwd=work, env=clean, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), command
