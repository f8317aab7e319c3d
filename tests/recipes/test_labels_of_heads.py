from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import notes, options, rows_of, write

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import DataError, NewClassesError, UsageError
from mtlkit.inference.load_weights import load_weights
from mtlkit.recipes.train_mtl import stream, train_mtl
from mtlkit.recipes.training import words
from mtlkit.runs.record import verify
from mtlkit.training.events import Epoch, Forgetting, Note


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


def test_other_labels_are_refused_unless_a_fresh_head_is_wanted(data: Path, runs: Path, tmp_path: Path) -> None:
    rows = rows_of(data / "kind" / "train.csv")
    write(tmp_path / "kind" / "train.csv", [rows[0], *([text, label.upper()] for text, label in rows[1:])])
    with pytest.raises(NewClassesError, match=r"2 classes that head 'kind' of .*; 58 of 58 rows\); specify"):
        train_mtl(options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), epochs=1))
    asked = options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), epochs=1, new_classes="fresh")
    events = list(stream(asked))
    warning = f"head 'kind' of {runs / 'mtl'} was trained for other labels ('animal', 'tool'); a fresh one takes its place"
    assert any(isinstance(event, Note) and event.warning and event.text == warning for event in events)
    assert load_weights(tmp_path / "run").model.head("kind").spec.labels == ("ANIMAL", "TOOL")
    frozen = options(tmp_path, tmp_path / "other", "kind", init=str(runs / "mtl"), freeze=["head:kind"], new_classes="fresh")
    state = TrainMtlOptions(**{**vars(frozen), "task": [*frozen.task, f"state={data / 'state'}"]})
    with pytest.raises(
        UsageError, match=r"--freeze head:kind: head 'kind' of .* was trained for other labels \('animal', 'tool'\)"
    ):
        train_mtl(state)
    assert not (tmp_path / "other").exists()


def with_plants(data: Path, folder: Path, *, alone: bool) -> None:
    """Training rows of `kind` with a third class, or of that one alone."""
    header, *rows = rows_of(data / "kind" / "train.csv")
    plants = [[f"The {name} grows near the {place}.", "plant"] for name in ("fern", "oak", "moss") for place in ("wall", "river")]
    write(folder / "kind" / "train.csv", [header, *([] if alone else rows), *plants])


@pytest.mark.parametrize("alone", [False, True], ids=["with old classes", "alone"])
def test_a_head_is_extended_by_a_new_class(
    alone: bool, data: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for least in ("LEAST_ROWS", "LEAST_WRONG"):
        monkeypatch.setattr(words, least, 0)  # compares few rows with a bag of words, too
    with_plants(data, tmp_path, alone=alone)
    asked = options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), freeze=["backbone"], new_classes="extend")
    events = list(stream(TrainMtlOptions(**{**vars(asked), "solver": "sgd", "learning_rate": 1e-9, "head_rate": 1.0})))
    old, new = (load_weights(path).model for path in (runs / "mtl", tmp_path / "run"))
    assert new.head("kind").spec.labels == ("animal", "tool", "plant")
    before, after = (model.head("kind").linear_layers()[-1].affine for model in (old, new))
    torch.testing.assert_close(after.weight[:2], before.weight)  # as the learning rate is tiny
    torch.testing.assert_close(after.bias[2], before.bias.mean())
    (change,) = next(event.report.changes for event in events if isinstance(event, Forgetting))
    assert (change.task, change.change) == ("kind", 0.0)
    measured = f"rows of {data / 'kind'} measure what happens to 'animal', 'tool'" in notes(events)
    assert measured == alone
    assert f"old classes are compared with before on {change.rows} rows" in notes(events)


def test_rows_of_new_classes_are_dropped(data: Path, runs: Path, tmp_path: Path) -> None:
    with_plants(data, tmp_path, alone=False)
    asked = options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), freeze=["backbone"], new_classes="drop")
    said = notes(list(stream(asked)))
    assert "does not know ('plant'; 5 of 63 rows); left out" in said
    assert load_weights(tmp_path / "run").model.head("kind").spec.labels == ("animal", "tool")
    with_plants(data, tmp_path, alone=True)
    with pytest.raises(DataError, match="no row has a label that the head knows"):
        train_mtl(options(tmp_path, tmp_path / "other", "kind", init=str(runs / "mtl"), new_classes="drop"))


def test_a_frozen_head_is_not_extended(data: Path, runs: Path, tmp_path: Path) -> None:
    with_plants(data, tmp_path, alone=False)
    asked = options(tmp_path, tmp_path / "run", "kind", init=str(runs / "mtl"), freeze=["head:kind"], new_classes="extend")
    both = TrainMtlOptions(**{**vars(asked), "task": [*asked.task, f"state={data / 'state'}"]})
    with pytest.raises(UsageError, match=r"--freeze head:kind: .* a frozen head cannot learn them"):
        train_mtl(both)


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
