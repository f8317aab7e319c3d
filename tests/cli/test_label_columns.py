"""A table with several label columns, from training to prediction."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtlkit.runs.record import verify

if TYPE_CHECKING:
    from .conftest import Typed


@pytest.fixture(scope="module")
def reviews(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 64 texts of `kind` with a label there, a number, and a third column with many gaps."""
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    with (data / "kind" / "train.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "kind", "stars", "mood"])
        for number, row in enumerate(rows):
            stars = "" if number % 4 == 1 else number % 9 + 0.5
            writer.writerow([row["text"], row["label"], stars, "" if number % 3 else "good" if number % 2 else "bad"])
    return path


def test_columns_are_trained_and_evaluated_as_tasks(typed: Typed, reviews: Path, mtl: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "run", f"{reviews}?labels=kind:animal,stars,mood&kind.stars=regression"
    train = ("train-mtl", "--task", table, "--init", mtl, "--out", out, "--epochs", 2, "--min-steps", 0, "--keep-state")
    answer = typed(*train)
    assert answer.code == 0, answer.err
    assert "mood: 20 rows to train on, 2 to validate (9.1% held out), 42 without a label, 2 classes" in answer.err
    assert "stars: text=text, label=stars (regression)" in answer.err
    record = verify(out)
    assert list(record.data) == ["animal", "stars", "mood"]
    assert {name: own["train"]["gaps"] + own["validation"]["gaps"] for name, own in record.data.items()} == {
        "animal": 0,
        "stars": 16,
        "mood": 42,
    }
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines() if '"losses"' in line]
    assert all("animal" in step["losses"] for step in steps)
    measured = json.loads(typed("eval", "--model", out, "--split", "validation", "--json").out)["tasks"]
    assert list(measured) == ["animal", "stars", "mood"]
    for name, metrics in measured.items():
        assert metrics["n"] == record.data[name]["validation"]["rows"]
    again = typed("eval", "--model", out, "--task", f"{reviews}?labels=kind:animal,mood", "--json")
    assert list(json.loads(again.out)["tasks"]) == ["animal", "mood"]
    predicted = json.loads(typed("predict", "--model", out, "a text", "--json").out)["predictions"]
    assert set(predicted[0]["tasks"]) >= {"animal", "stars", "mood"}
    assert "kind:animal" in typed("info", out).out
    checked = typed("check-data", "--task", table, "--model", mtl)
    assert "no label" in checked.out
    more = typed("train-mtl", "--resume", out, "--extend", 1)
    assert more.code == 0, more.err


def test_a_frozen_backbone_encodes_every_text_once(typed: Typed, reviews: Path, data: Path, mtl: Path, tmp_path: Path) -> None:
    tasks = ("--task", f"{reviews}?labels=kind:animal,mood", "--task", f"other={data / 'state'}")
    answer = typed("train-mtl", *tasks, "--init", mtl, "--out", tmp_path / "run", "--freeze", "backbone", "--verbose")
    assert answer.code == 0, answer.err
    assert "encoded 128 texts once" in answer.err  # 64 of the table, as many of the other task


@pytest.mark.parametrize(
    ("labels", "options", "code", "message"),
    [
        ("kind,moood", (), 3, "column 'moood' not found in"),
        ("kind,kind", (), 2, "column 'kind' is given twice"),
        ("kind,mood&kind.star=regression", (), 2, "'star' is not one of its label columns"),
        ("kind,mood", ("--sampling", "balanced"), 2, "--sampling balanced draws rows by their label"),
        ("kind,mood", ("--router",), 2, "kind, mood have the same"),
    ],
)
def test_what_columns_cannot_do_is_said(
    labels: str, options: tuple[str, ...], code: int, message: str, typed: Typed, reviews: Path, mtl: Path, tmp_path: Path
) -> None:
    answer = typed("train-mtl", "--task", f"{reviews}?labels={labels}", "--init", mtl, "--out", tmp_path / "run", *options)
    assert answer.code == code
    assert message in answer.err


def test_an_objective_for_one_column_refuses_several(typed: Typed, reviews: Path, tmp_path: Path) -> None:
    command = ("train-sentence", "--task", f"{reviews}?labels=kind,mood", "--objective", "labels", "--out", tmp_path / "run")
    answer = typed(*command)
    assert answer.code == 2
    assert "--objective labels reads one column of labels" in answer.err
