from __future__ import annotations

from pathlib import Path

import pytest
from support import notes, options, rows_of, write

from mtlkit.config.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.inference.load_weights import load_weights
from mtlkit.recipes.train_mtl import stream, train_mtl
from mtlkit.runs.record import verify
from mtlkit.training.events import Epoch, Note


def test_the_order_of_labels_in_new_data_does_not_matter(data: Path, runs: Path, tmp_path: Path) -> None:  # fault 27
    rows = rows_of(data / "kind" / "train.csv")
    write(tmp_path / "kind" / "train.csv", [rows[0], *reversed(rows[1:])])
    asked = options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), freeze=["backbone"], solver="sgd")
    events = list(stream(asked))
    assert "a fresh one takes its place" not in notes(events)
    start = next(event for event in events if isinstance(event, Epoch))
    assert start.tasks[0].validation["accuracy"] >= 0.7
    assert load_weights(tmp_path / "run").model.head("kind").spec.labels == ("animal", "tool")


def test_labels_of_the_model_are_kept_if_data_has_fewer(data: Path, runs: Path, tmp_path: Path) -> None:  # fault 27
    rows = rows_of(data / "kind" / "train.csv")
    write(tmp_path / "kind" / "train.csv", [rows[0], *(row for row in rows if row[1] == "tool")])
    train_mtl(options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), freeze=["backbone"], epochs=1))
    assert load_weights(tmp_path / "run").model.head("kind").spec.labels == ("animal", "tool")


def test_other_labels_get_a_fresh_head_with_a_warning(data: Path, runs: Path, tmp_path: Path) -> None:
    rows = rows_of(data / "kind" / "train.csv")
    write(tmp_path / "kind" / "train.csv", [rows[0], *([text, label.upper()] for text, label in rows[1:])])
    asked = options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), epochs=1)
    events = list(stream(asked))
    warning = f"head 'kind' of {runs / 'mtl'} was trained for other labels ('animal', 'tool'); a fresh one takes its place"
    assert any(isinstance(event, Note) and event.warning and event.text == warning for event in events)
    assert load_weights(tmp_path / "run").model.head("kind").spec.labels == ("ANIMAL", "TOOL")
    frozen = options(tmp_path, tmp_path / "other", "kind", init=str(runs / "mtl"), freeze=["head:kind"])
    state = TrainMtlOptions(**{**vars(frozen), "task": [*frozen.task, f"state={data / 'state'}"]})
    with pytest.raises(
        UsageError, match=r"--freeze head:kind: head 'kind' of .* was trained for other labels \('animal', 'tool'\)"
    ):
        train_mtl(state)
    assert not (tmp_path / "other").exists()


def test_label_only_in_validation_is_dropped_and_reported(data: Path, runs: Path, tmp_path: Path) -> None:  # fault 26
    folder = tmp_path / "kind"
    write(folder / "train.csv", rows_of(data / "kind" / "train.csv"))
    write(folder / "validation.csv", [*rows_of(data / "kind" / "test.csv"), ["A fern", "plant"], ["An oak", "plant"]])
    events = list(stream(options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), epochs=1)))
    assert "kind: 2 validation rows with a label unseen in training ('plant'); left out" in notes(events)
    assert verify(tmp_path / "run").data["kind"]["validation"]["rows"] == 18


@pytest.mark.parametrize("freeze", ["backbone", "head:kind"])
def test_a_head_keeps_its_calibration_only_where_it_does_not_train(freeze: str, data: Path, runs: Path, tmp_path: Path) -> None:
    old = load_weights(runs / "mtl").model.head("kind").spec.calibration
    assert old is not None
    tasks = ("kind", "state") if freeze == "head:kind" else ("kind",)
    train_mtl(options(data, tmp_path / "run", *tasks, init=str(runs / "mtl"), freeze=[freeze], epochs=1, calibrate="none"))
    found = load_weights(tmp_path / "run").model.head("kind").spec.calibration
    assert found == (old if freeze == "head:kind" else None)
