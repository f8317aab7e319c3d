"""Rows held out for validation, and trainings that use all rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.runs.record import BEFORE_REFIT, NOT_MEASURED, marked_tasks, verify

if TYPE_CHECKING:
    from .conftest import Typed


def test_a_training_on_all_rows_measures_nothing_and_says_so(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "run", data / "kind" / "train.csv"
    command = ("train-mtl", "--task", f"kind={source}", "--init", mtl, "--out", out, "--epochs", 1, "--holdout", 0)
    answer = typed(*command)
    assert answer.code == 0, answer.err
    assert "64 rows to train on, none held out" in answer.err
    assert "kind: trained on all rows (--holdout 0), so the last epoch is kept" in answer.err
    assert answer.out.endswith(f"next: mtlkit predict --model {out} 'a text'\n")
    record = verify(out)
    assert marked_tasks(record.metrics, NOT_MEASURED) == ["kind"]
    assert (record.data["kind"]["train"]["rows"], record.data["kind"]["validation"]["rows"]) == (64, 0)
    assert "not measured, as no rows were held out: kind" in typed("info", out).out
    measured = typed("eval", out, "--split", "validation")
    assert measured.code == 3
    assert "--holdout 0" in measured.err
    assert typed("curves", out).code == 0


def test_solved_heads_are_scored_without_held_out_rows(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "run", data / "kind" / "train.csv"
    task = ("--task", f"new={source}", "--init", mtl, "--freeze", "backbone", "--router")
    answer = typed("train-mtl", *task, "--task", f"other={data / 'state'}", "--out", out, "--holdout", 0)
    assert answer.code == 0, answer.err
    assert "new: cross-validated accuracy" in answer.err
    assert "--holdout 0)" not in answer.err
    assert "its accuracy is unknown" in answer.err  # of the router
    assert answer.out.endswith(f"next: mtlkit predict --model {out} 'a text'\n")


def test_a_refit_gives_the_held_out_rows_back(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "run", data / "kind" / "train.csv"
    options = ("--init", mtl, "--out", out, "--epochs", 2, "--holdout", 0.25, "--refit")
    answer = typed("train-mtl", "--task", f"kind={source}", *options)
    assert answer.code == 0, answer.err
    assert "trained again on all rows: kind 64 (16 held out before)" in answer.err
    assert answer.out.endswith(f"next: mtlkit predict --model {out} 'a text'\n")
    record = verify(out)
    assert marked_tasks(record.metrics, BEFORE_REFIT) == ["kind"]
    assert (record.metrics["refit"]["rows"], record.options["refit"]) == ({"kind": 64}, True)
    assert "before the model was trained again" in typed("info", out).out
    assert "kind: these rows were trained on, too" in typed("eval", out, "--split", "validation").err
    assert typed("curves", out).code == 0
