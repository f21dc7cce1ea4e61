"""Every rung of the failure ladder in the documentation is held by tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LADDER = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
NAMED = re.compile(r"^- `(tests/[\w/]+\.py)::(\w+)`$", re.MULTILINE)
RUNG = re.compile(r"^### (.+)$", re.MULTILINE)
IN_TABLE = re.compile(r"^\| \[(.+?)\]\(#([\w-]+)\) \|", re.MULTILINE)


def functions(path: Path) -> set[str]:
    """Names of all functions of a file, methods included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_every_test_that_is_named_is_there() -> None:
    """In that file, under that name."""
    named = NAMED.findall(LADDER)
    missing = [f"{file}::{test}" for file, test in named if test not in functions(ROOT / file)]
    assert len(named) == LADDER.count("\n- `tests/")
    assert missing == []


def test_every_rung_is_listed_and_names_tests() -> None:
    """The table leads to each of them."""
    listed = dict(IN_TABLE.findall(LADDER))
    rungs = RUNG.split(LADDER)[1:]
    sections = dict(zip(rungs[::2], rungs[1::2], strict=True))
    assert len(sections) == 9
    assert listed == {name: name.lower().replace(" ", "-") for name in sections}
    assert [name for name, text in sections.items() if not NAMED.search(text)] == []
