"""Comparing with each task alone after the comparison was stopped or failed once the run was saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import notes, write

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import DivergedError, UsageError
from mtlkit.recipes.train_mtl import stream
from mtlkit.recipes.training.baselines import compare as baselines
from mtlkit.runs.record import file_digest, read_record, verify
from mtlkit.training.events import Sharing
from mtlkit.training.loop import DivergedStep


@pytest.fixture
def stopped(data: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainMtlOptions:
    """A run with a router whose comparison was stopped; its data is its own."""
    for task in ("kind", "state"):
        for split in ("train", "test"):
            write(tmp_path / task / f"{split}.csv", [["text", "label"], *([f"{task} {n}", "ab"[n % 2]] for n in range(24))])
    asked = TrainMtlOptions(
        task=[f"{task}={tmp_path / task}" for task in ("kind", "state")],
        out=tmp_path / "run",
        init=str(runs / "sentence"),
        epochs=1,
        baselines=True,
        router=True,
        new_classes="fresh",
    )
    with monkeypatch.context() as patch:
        patch.setattr(baselines, "train_baseline", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(stream(asked))
    assert "sharing" not in verify(tmp_path / "run").metrics
    return replace(asked, resume="")


def test_it_continues_with_the_run_unchanged(stopped: TrainMtlOptions) -> None:
    out = stopped.out
    assert out is not None
    before = file_digest(out / "model.safetensors")
    events = list(stream(stopped))
    assert "is finished" in notes(events)
    (report,) = [event.report for event in events if isinstance(event, Sharing)]
    assert read_record(out).metrics["sharing"]["seeds"] == list(report.seeds)
    assert file_digest(out / "model.safetensors") == before
    assert not any(isinstance(event, Sharing) for event in stream(stopped))  # once is enough


def test_other_data_is_not_compared(stopped: TrainMtlOptions, tmp_path: Path) -> None:
    path = tmp_path / "kind" / "train.csv"
    path.write_text(path.read_text().replace(",a", ",c"))
    with pytest.raises(UsageError, match="changed since the run was saved: the data of kind"):
        list(stream(stopped))
    assert json.loads((tmp_path / "run" / "run.json").read_text())["metrics"].get("sharing") is None


def test_diverging_baseline_names_its_task(stopped: TrainMtlOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverges(*_: Any) -> Iterator[Any]:
        raise DivergedStep("loss of 'kind' is nan at step 2", 1, [], [])
        yield

    monkeypatch.setattr(baselines.Trainer, "events", diverges)
    with pytest.raises(DivergedError, match=r"^--baselines, kind alone, seed 0: loss of 'kind' is nan at step 2$"):
        list(stream(stopped))
