from __future__ import annotations

from dataclasses import replace

import pytest
from drawing import drawn, widest

from mtlkit.report.tables import (
    epoch_table,
    number,
    parts_table,
    task_table,
)
from mtlkit.training.events import Epoch, Part, TaskState


def state(task: str, kind: str = "classification", batches: int = 3, planned: int = 7) -> TaskState:
    metrics = {"spearman": -0.125, "pearson": 0.25} if kind == "regression" else {"accuracy": 0.5, "macro_f1": 0.25}
    return TaskState(task, kind, 1.5, {"loss": 0.75, **metrics}, batches, planned, False)


def test_number() -> None:
    assert [number(None), number(0.12345), number(2.0, 1)] == ["-", "0.123", "2.0"]


def test_epoch_table() -> None:
    text = drawn(epoch_table(Epoch(2, 8, (state("topic"), state("mood")), 0.5, True), 80))
    lines = [line.split() for line in text.splitlines() if line.strip()]
    assert text.startswith("epoch 2/8, mean score 0.500, best so far\n")
    assert lines[1] == ["task", "train", "loss", "val", "loss", "accuracy", "macro-F1", "batches"]
    assert lines[3:] == [[task, "1.500", "0.750", "0.500", "0.250", "3/7"] for task in ("topic", "mood")]


def test_texts_and_repeats_are_shown_below_an_epoch() -> None:
    seen = (replace(state("topic"), texts=3840, repeats=1.0), replace(state("mood"), texts=640, repeats=2.5), state("watched"))
    text = drawn(epoch_table(Epoch(1, 8, seen, 0.5, True), 80))
    assert text.splitlines()[-1].rstrip() == "texts seen, and passes over the rows: topic 3,840 (1x), mood 640 (2.5x)"


def test_columns_follow_the_kinds_of_the_tasks() -> None:
    assert drawn(task_table([state("stars", "regression")], 80)).split("batches")[0].split()[-2:] == ["Spearman", "Pearson"]
    mixed = drawn(task_table([state("topic"), state("stars", "regression")], 80))
    assert mixed.split("batches")[0].split()[-3:] == ["accuracy", "macro-F1", "Spearman"]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("kinds", [("classification",), ("regression",), ("classification", "regression", "multi-label")])
def test_a_long_name_is_cut_and_no_figure_is(width: int, kinds: tuple[str, ...]) -> None:
    text = drawn(task_table([state("x" * 64, kind, 12345, 12345) for kind in kinds], width), width)
    assert widest(text) <= width
    assert text.count("12345/12345") == len(kinds)
    assert text.count("…") == len(kinds)
    assert text.count("train loss") == text.count("val loss") == text.count("batches") == 1


def test_parts_table() -> None:
    text = drawn(parts_table([Part("backbone", 1234567, 1234567), Part("head:a", 66, 0, "0123456789abcdef" + "f" * 48)]))
    assert [line.split() for line in text.splitlines()[4:6]] == [
        ["backbone", "1,234,567", "-"],
        ["head:a", "-", "66", "0123456789abcdef"],
    ]


def test_parts_table_after_training_shows_what_was_frozen_and_whether_it_changed() -> None:  # fault 18
    parts = [
        Part("backbone", 99, 99),
        Part("head:" + "n" * 64, 66, 0, "a" * 64, "a" * 64),
        Part("head:b", 123456789, 0, "b" * 64, "c" * 64),
    ]
    text = drawn(parts_table(parts))
    assert widest(text) <= 80
    assert "backbone" not in text
    assert f"{'a' * 16} = {'a' * 16}" in text
    assert f"{'b' * 16} became {'c' * 16}" in text
    assert "123,456,789" in text
