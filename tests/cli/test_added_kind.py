"""A kind of task that is added at run time works in every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TRAINED
from graded import Graded

from mtlkit.config.registries.task_kinds import KINDS

WORDS = ["dreadful", "poor", "fair", "good", "superb"]
PLACES = ["hall", "garden", "kitchen", "stairs", "attic", "cellar"]


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "graded", Graded())


@pytest.fixture
def grades(tmp_path: Path) -> Path:
    """A folder with grades from 1 to 5, train and test."""
    rows = [f"The {place} is {word} today.,{grade}" for place in PLACES for grade, word in enumerate(WORDS, 1)]
    folder = tmp_path / "grades"
    folder.mkdir()
    (folder / "train.csv").write_text("\n".join(["text,label", *rows, *(row.replace("today", "now") for row in rows)]))
    (folder / "test.csv").write_text("\n".join(["text,label", *(row.replace("today", "again") for row in rows)]))
    return folder


def flags(**options: Any) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def test_every_command_works_with_it(graded: None, grades: Path, runs: Path, tmp_path: Path, typed: Callable[..., Any]) -> None:
    source, out = f"grade={grades}?kind=graded", tmp_path / "run"
    checked = typed("check-data", "--task", source, "--model", runs / "mtl")
    assert (checked.code, "graded" in checked.out) == (0, True)
    trained = typed(
        "train-mtl", "--task", source, "--init", runs / "mtl", "--out", out, *flags(**TRAINED, class_weights="balanced")
    )
    assert trained.code == 0, trained.err
    assert "within one" in trained.out + trained.err
    spec = next(task for task in json.loads((out / "config.json").read_text())["tasks"] if task["name"] == "grade")
    assert (spec["kind"], spec["labels"]) == ("graded", ["1", "2", "3", "4", "5"])

    evaluated = typed("eval", "--model", out, "--json")
    assert evaluated.code == 0, evaluated.err
    metrics = json.loads(evaluated.out)["tasks"]["grade"]
    assert metrics["kind"] == "graded"
    assert metrics["near"] >= metrics["accuracy"]
    assert "within one" in typed("eval", "--model", out, "--task", f"grade={grades}").out

    assert "grade " in typed("predict", "The hall is superb today.", "--model", out, "--task", "grade", terminal=True).out
    answer = json.loads(typed("predict", "The hall is superb today.", "--model", out, "--task", "grade").out)
    assert set(answer["tasks"]["grade"]) == {"label", "probability", "probabilities"}
    assert "graded" in typed("info", out).out
    exported = typed("export", out, tmp_path / "export")
    assert exported.code == 0, exported.err
    assert "largest column is the grade" in (tmp_path / "export" / "README.md").read_text()


def test_its_own_check_of_labels_makes_bad_rows(graded: None, grades: Path, runs: Path, typed: Callable[..., Any]) -> None:
    file = grades / "train.csv"
    file.write_text(file.read_text() + "\nThe barn is odd.,great\n")
    wrong = typed("check-data", "--task", f"grade={grades}?kind=graded", "--model", runs / "mtl")
    assert (wrong.code, "no grade" in wrong.err) == (3, True)


def test_it_is_known_only_while_it_is_registered(
    grades: Path, typed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = typed("check-data", "--task", f"grade={grades}?kind=gradd")
    assert (unknown.code, "classification, multi-label, ordinal, regression" in unknown.err) == (2, True)
    monkeypatch.setitem(KINDS, "graded", Graded())
    near = typed("check-data", "--task", f"grade={grades}?kind=gradd")
    assert "classification, graded, multi-label, ordinal, regression, tokens; did you mean 'graded'?" in near.err
