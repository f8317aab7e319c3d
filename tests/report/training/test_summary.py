from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from mtlkit.report.training.summary import summary_lines, summary_table

METRICS: dict[str, Any] = {
    "validation": {
        "topic": {"accuracy": 0.912, "accuracy_interval": [0.83, 0.957]},
        "a task | <b>\nof two lines whose name is rather long": {"quadratic_kappa": 0.5, "quadratic_kappa_interval": [0.4, 0.6]},
        "tags": {"macro_f1": 0.7, "macro_f1_interval": None, "cross_validated": True},
    },
    "test": {
        "topic": {"kind": "classification", "split": "held_out.csv", "n": 1, "accuracy": 0.9, "accuracy_interval": [0.8, 1.0]}
    },
    "best_epoch": 4,
    "best_per_task": {"topic": {"score": 0.931, "epoch": 2}, "tags": {"score": 0.7, "epoch": 4}},
    "forgetting": {"changes": [{"task": "topic", "metric": "accuracy", "change": -0.06, "interval": [-0.081, -0.039]}]},
    "data_findings": {
        "found": [
            {"problem": "overlap", "task": "topic", "split": "validation", "rows": 2, "of": 80, "against": "train"},
            {"problem": "blank"},
        ]
    },
}


def drawn(metrics: dict[str, Any], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(summary_table(metrics, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_shows_every_number(width: int) -> None:
    lines = drawn(METRICS, width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for shown in ("of epoch 4", "2 (93.1)", "91.2", "83.0..95.7", "90.0", "80.0..100.0", "-6.0", "-8.1..-3.9", "0.500", "70.0*"):
        assert shown in text
    assert "* cross-validated, as the heads were fitted to all rows, validation included: tags" in text
    assert "test, scored once: topic 1 row of held_out.csv" in text
    assert "topic: 2 of 80 validation rows are also in train, so scores on them are too high" in text


def test_intervals_are_beside_their_values_where_there_is_room() -> None:
    assert any("91.2 83.0..95.7" in line for line in drawn(METRICS, 120))
    assert not any("91.2 83.0..95.7" in line for line in drawn(METRICS, 80))


def test_columns_without_values_are_left_out() -> None:
    text = "\n".join(drawn({"validation": {"topic": {"accuracy": 0.5}}}, 80))
    assert "validation" in text
    for title in ("test", "change", "best"):
        assert title not in text


def test_a_line_per_task() -> None:
    topic, other, tags, leak = summary_lines(METRICS)
    assert topic == (
        "topic: accuracy: validation 91.2 (95 %: 83.0 to 95.7); test 90.0 (95 %: 80.0 to 100.0) on 1 row of held_out.csv; "
        "change from the start -6.0 (95 %: -8.1 to -3.9) points; best epoch 2 (93.1)"
    )
    assert other.startswith("a task | <b> of two lines whose name is rather long: quadratic kappa: validation 0.500")
    assert "validation 70.0, cross validated" in tags
    assert "too high" in leak


def test_a_base_has_no_scores() -> None:
    assert summary_table({"perplexity": 3.0}, 80) is None
    assert summary_lines({"perplexity": 3.0}) == []
