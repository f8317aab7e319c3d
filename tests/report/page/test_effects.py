from __future__ import annotations

from typing import Any

import pytest

from mtlkit.report.page.blocks import Shade
from mtlkit.report.page.effects import forgetting_section, of_report, sharing_section, signed

CHANGE = {
    "task": "topic", "kind": "classification", "metric": "accuracy", "rows": 80, "before": 0.9, "best": 0.9, "after": 0.8,
    "change": -0.1, "interval": [-0.15, -0.05], "forgetting": 0.1, "pair": None,
    "fallen": {"label": "<b>", "before": 1.0, "after": 0.5, "support": 20},
}  # fmt: skip
FORGETTING: dict[str, Any] = {
    "stages": ["before", "epoch 1", "after"],
    "matrix": {"topic": [0.9, 0.7, 0.8], "mood": [None, 0.5, 0.6]},
    "metrics": {"topic": "accuracy", "mood": "accuracy"},
    "changes": [CHANGE],
    "backward_transfer": -0.1,
    "distances": {"embeddings": 0.001, "layers:0": 0.02, "head:topic": None},
    "words": ["topic lost 10.0 points"],
}
SHARING: dict[str, Any] = {
    "seeds": [0, 1],
    "tasks": [
        {"task": "topic", "metric": "accuracy", "together": [0.9, 0.8], "alone": [0.8, 0.8], "difference": 0.05,
         "interval": [0.01, 0.09], "over_seeds": [-0.1, 0.2], "holm": 0.03},
        {"task": "size", "metric": "spearman", "together": [None], "alone": [0.5, 0.4], "difference": None, "interval": None,
         "over_seeds": None, "holm": 1.0},
    ],
    "words": ["sharing helped"],
}  # fmt: skip


def test_scores_at_every_stage_are_coloured_by_their_change() -> None:
    section = forgetting_section(FORGETTING)
    assert section.lines == ("topic lost 10.0 points",)
    scores, changes, distances = section.tables
    assert scores.rows == (("topic", "accuracy", "90.0", "70.0", "80.0"), ("mood", "accuracy", "-", "50.0", "60.0"))
    strengths = [cell.strength for cell in scores.rows[0] if isinstance(cell, Shade)]
    assert strengths == [0.0, pytest.approx(-1.0), pytest.approx(-0.5)]
    assert changes.rows == (("topic", "90.0", "90.0", "80.0", "-10.0", "-15.0..-5.0", "80", "<b>: 100.0 to 50.0"),)
    assert [row[0] for row in distances.rows] == ["embeddings", "layers:0", "head:topic"]
    assert [chart.name for chart in section.charts] == ["forgetting", "forgetting-change"]
    assert 'data-tip="epoch 1: mood, accuracy 50.0"' in section.charts[0].inline()
    assert 'data-tip="topic -10.0 (-15.0 to -5.0)"' in section.charts[1].inline()


def test_a_task_that_is_worse_has_another_shape_and_colour() -> None:
    both = forgetting_section({**FORGETTING, "changes": [CHANGE, {**CHANGE, "task": "mood", "change": 0.1}]}).charts[1].inline()
    assert both.count("var(--wrong)") == both.count("var(--accent)") > 0


def test_a_training_without_known_tasks_has_scores_only() -> None:
    section = forgetting_section({**FORGETTING, "changes": []})
    assert section.title == "Every stage of the training"
    assert [chart.name for chart in section.charts] == ["forgetting"]


def test_gains_of_sharing_with_what_is_undefined() -> None:
    section = sharing_section(SHARING)
    (block,) = section.tables
    assert [column.title for column in block.columns][-2:] == ["95 % of seeds", "p"]
    assert block.rows[0] == ("topic", "accuracy", "85.0", "80.0", "+5.0", "1.0..9.0", "-10.0..20.0", "0.03")
    assert block.rows[1] == ("size", "Spearman", "-", "0.450", "-", "-", "-", "1")
    assert "topic +5.0 (1.0 to 9.0)" in section.charts[0].text


@pytest.mark.parametrize("damaged", [{"stages": None}, {"matrix": {"topic": [0.9]}, "metrics": {}}, {"changes": [{}]}])
def test_a_report_in_another_form_has_its_sentences(damaged: dict[str, Any]) -> None:
    section = of_report({"forgetting": {**FORGETTING, **damaged}}, "forgetting", "Effect", forgetting_section)
    assert section is not None
    assert (section.lines, section.tables) == (("topic lost 10.0 points",), ())
    assert of_report({"forgetting": 3}, "forgetting", "Effect", forgetting_section) is None


@pytest.mark.parametrize(("value", "text"), [(0.051, "+5.1"), (-0.051, "-5.1"), (0.0, "0.0"), (None, "-")])
def test_changes_have_signs(value: float | None, text: str) -> None:
    assert signed(value) == text
