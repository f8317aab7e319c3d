"""The table of faults in tests/README.md: every row is there, and names tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
TABLE = (ROOT / "tests" / "README.md").read_text(encoding="utf-8").partition("## The table of faults")[2]
ROWS = {int(line.split("|")[1]): line.split("|")[2:-1] for line in TABLE.splitlines() if re.match(r"\| \d+ \|", line)}


@cache
def functions_of(path: Path) -> set[str]:
    """The tests of a file, without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_is_there_once() -> None:
    assert list(ROWS) == sorted(ROWS)
    assert set(range(1, 40)) <= set(ROWS)
    assert len(re.findall(r"^\| \d+ \|", TABLE, re.MULTILINE)) == len(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_tests_that_are_there(row: int) -> None:
    fault, seen, tests = ROWS[row]
    assert fault.strip()
    assert seen.strip()
    named = NAME.findall(tests)
    assert not NAME.sub("", tests).replace(",", "").strip()
    assert named
    for path, test in named:
        assert test in functions_of(ROOT / path), f"{path}::{test}"
