"""ARCHITECTURE.md and CONTRIBUTING.md name files, classes and tables that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from pages import ROOT

PACKAGE = ROOT / "mtlkit"
MAPS = [ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md"]
MADE = {"run.json", "metrics.jsonl"}  # files of a run

each_map = pytest.mark.parametrize("page", MAPS, ids=lambda page: page.name)


@cache
def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))


def spans(page: Path) -> list[str]:
    """The text in backticks."""
    return re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    )


@each_map
def test_every_path_exists(page: Path) -> None:
    paths = {
        span
        for span in spans(page)
        if re.fullmatch(r"[\w./-]+(/|\.(py|md|toml|json|jsonl|yml))", span) and not span.startswith(("--", "."))
    } - MADE
    assert len(paths) > 10
    for path in paths:
        bare = "/" not in path and any(PACKAGE.rglob(path))
        assert bare or (ROOT / path).exists() or (PACKAGE / path).exists(), path


@each_map
def test_every_class_and_table_exists(page: Path) -> None:
    names = {
        name
        for span in spans(page)
        if not span.endswith(".md")
        for name in re.findall(r"\b(?:[A-Z][a-z]+[A-Z]\w*|[A-Z][A-Z_]{3,}|[A-Z]\w+(?=[.(]))", span)
    }
    assert names
    for name in names:
        assert re.search(rf"^\s*(class {name}\b|{name}\b.*=)", sources(), re.MULTILINE), name


def test_the_tree_lists_every_part_of_the_package() -> None:
    tree = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("```\n")[2].partition("```")[0]
    listed = set(re.findall(r"^  (\w+)(?:/|\.py) ", tree, re.MULTILINE))
    parts = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert parts <= listed
    assert all((PACKAGE / name).exists() or (PACKAGE / f"{name}.py").exists() for name in listed)
