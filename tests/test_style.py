"""Rules of the house that no linter knows."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src").rglob("*.py"))
BANNED_SUFFIXES = ("_flops", "_bps", "_gb", "_ms", "_pct")  # each is ambiguous: a count or a rate, bits or bytes, ...
MIRRORED = {"peak_mem_gb"}  # a record of the evidence format keeps the names of the file's columns
TEXT_SUFFIXES = {".py", ".md", ".toml", ".json", ".csv", ".txt", ".yml", ".yaml", ""}
every_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(ROOT / "src").as_posix())


def _quantity_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            yield from (argument.arg for argument in [*node.posonlyargs, *node.args, *node.kwonlyargs])
        if isinstance(node, ast.ClassDef):
            fields = (line.target for line in node.body if isinstance(line, ast.AnnAssign))
            yield from (target.id for target in fields if isinstance(target, ast.Name))


def test_banned_suffixes_are_found() -> None:
    """The search sees parameters, keyword-only ones, and fields."""
    code = "class A:\n    link_bps: float\n\ndef f(peak_flops, *, size_gb=1): pass\nwait = lambda time_ms: 1"
    assert sorted(_quantity_names(ast.parse(code))) == ["link_bps", "peak_flops", "size_gb", "time_ms"]


@every_module
def test_names_carry_unambiguous_units(module: Path) -> None:
    """No parameter or field ends in a unit that can be read two ways."""
    names = _quantity_names(ast.parse(module.read_text(encoding="utf-8")))
    assert [name for name in names if name.endswith(BANNED_SUFFIXES) and name not in MIRRORED] == []


def test_the_project_stands_alone() -> None:
    """No file refers to a folder beside the repository."""
    outside = "../" + "shared"
    folders = ("src", "tests", "docs", "examples", "benchmarks", "evidence", ".ci")
    files = [*ROOT.glob("*"), *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    texts = [path for path in files if path.is_file() and path.suffix in TEXT_SUFFIXES and path.stat().st_size < 20e6]
    assert Path(__file__) in texts
    assert [str(path) for path in texts if outside in path.read_text(encoding="utf-8", errors="replace")] == []
