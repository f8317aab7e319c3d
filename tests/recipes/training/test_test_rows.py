"""`--test`: read before a training, scored once by the kept weights, recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import write_csv

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.evaluation.figures import DETAILS
from mtlkit.inference.load_model import load
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.train_mtl import stream, train_mtl
from mtlkit.recipes.train_sentence import train_sentence
from mtlkit.runs.record import read_record
from mtlkit.training.events import Finished, Note

SOLVED: dict[str, Any] = {"freeze": ["backbone"], "prototypes": 0}


def of_eval(out: Path, name: str, *task: str) -> dict[str, Any]:
    """What `eval` measures on test rows, without details."""
    metrics = evaluate(EvalOptions(model=str(out), task=list(task)), load(out)).tasks[name].metrics
    return {key: value for key, value in metrics.items() if key not in DETAILS}


def test_test_splits_are_scored_as_eval_does(data: Path, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    tasks = [f"{name}={data / name}" for name in ("kind", "state")]
    finished = train_mtl(TrainMtlOptions(task=tasks, init=str(runs / "sentence"), out=out, test=["all"], **SOLVED))
    record = read_record(out)
    assert record.metrics["test"] == finished.metrics["test"]
    for name in ("kind", "state"):
        assert record.metrics["test"][name] == {"split": "test", **of_eval(out, name)}
        assert record.data[name]["test"]["rows"] == record.metrics["test"][name]["n"] == 16
    low, high = record.metrics["validation"]["kind"]["accuracy_interval"]
    assert 0 <= low <= record.metrics["validation"]["kind"]["accuracy"] <= high <= 1


def test_other_rows_of_a_task_that_trains_or_is_watched(data: Path, runs: Path, tmp_path: Path) -> None:
    out, rows = tmp_path / "run", [("The cat sleeps.", "animal"), ("A saw lies broken.", "tool"), ("The otter", "animal")]
    other = write_csv(tmp_path / "other.csv", [*rows, ("A plum", "fruit")])
    options = TrainMtlOptions(
        task=[f"new={data / 'state'}"], watch=["kind"], init=str(runs / "mtl"), out=out, epochs=1, min_steps=0, batch_tokens=512,
        test=[f"kind={other}", "new"],
    )  # fmt: skip
    notes = [event.text for event in stream(options) if isinstance(event, Note) and event.warning]
    metrics = read_record(out).metrics["test"]
    assert metrics["kind"] == {"split": "other.csv", **of_eval(out, "kind", f"kind={other}")}
    assert (metrics["kind"]["n"], metrics["new"]["n"]) == (3, 16)
    assert any(note.startswith("kind: 1 test row ") and "fruit" in note for note in notes)


def test_test_rows_that_are_trained_on_are_told_and_recorded(data: Path, runs: Path, tmp_path: Path) -> None:
    out, source = tmp_path / "run", data / "kind" / "train.csv"
    events = list(
        stream(TrainMtlOptions(task=[f"new={source}"], init=str(runs / "mtl"), out=out, test=[f"new={source}"], **SOLVED))
    )
    finding = next(found for found in read_record(out).metrics["data_findings"]["found"] if found["split"] == "test")
    assert (finding["problem"], finding["task"], finding["of"]) == ("overlap", "new", 64)
    assert finding["rows"] > 50  # all but those that are held out
    message = f"new: {finding['rows']} of 64 test texts are also in train"
    assert message in read_record(out).metrics["data_findings"]["words"]
    assert any(isinstance(event, Note) and message in event.text for event in events)
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize(
    ("test", "error", "words"),
    [
        (["all"], UsageError, "without a test split; give the rows: --test new=FILE"),
        (["new"], UsageError, "has no test split; give the rows: --test new=FILE"),
        (["nwe"], UsageError, "no such task; there are new, kind, state; did you mean 'new'"),
        (["new", "new=a.csv"], UsageError, "given twice"),
        (["new=missing.csv"], DataError, "missing.csv"),
        (["kind=sample:topic"], DataError, "no row has a label that the head knows"),
    ],
)
def test_what_cannot_be_scored_is_refused_before_the_training(
    test: list[str], error: type[Exception], words: str, data: Path, runs: Path, tmp_path: Path
) -> None:
    out, source = tmp_path / "run", data / "kind" / "train.csv"
    with pytest.raises(error, match="(?s)" + words.replace("(", r"\(")):
        train_mtl(TrainMtlOptions(task=[f"new={source}"], init=str(runs / "mtl"), out=out, test=test, **SOLVED))
    assert not (out / "metrics.jsonl").exists()


def test_a_task_without_test_rows_is_named(data: Path, runs: Path, tmp_path: Path) -> None:
    tasks = [f"new={data / 'kind' / 'train.csv'}", f"other={data / 'state'}"]
    options = TrainMtlOptions(task=tasks, init=str(runs / "sentence"), out=tmp_path / "run", test=["all"], **SOLVED)
    notes = [event.text for event in stream(options) if isinstance(event, Note)]
    assert any(note.startswith("new: no test split, so not tested") for note in notes)
    assert list(read_record(tmp_path / "run").metrics["test"]) == ["other"]


def test_objectives_without_a_head_have_no_test_score(data: Path, runs: Path, tmp_path: Path) -> None:
    options = TrainSentenceOptions(
        task=f"kind={data / 'kind'}", objective="labels", init=str(runs / "sentence"), out=tmp_path / "run", test=["all"]
    )
    with pytest.raises(UsageError, match="--test scores heads"):
        train_sentence(options)
