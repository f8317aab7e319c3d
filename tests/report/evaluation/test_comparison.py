from __future__ import annotations

from dataclasses import replace

import pytest
from drawing import drawn, widest

from mtlkit.evaluation.comparison import Difference, TaskComparison
from mtlkit.evaluation.intervals import Interval
from mtlkit.report.evaluation.comparison import comparison_sentence, comparison_table

LESS = Difference("accuracy", 0.9, 0.881, Interval(-0.03, -0.008))
TOPIC = TaskComparison("topic", "classification", 2000, "accuracy", (LESS,), p=0.001, only_model=57, only_against=19)


def test_a_clear_difference_is_a_claim_with_its_interval() -> None:
    assert comparison_sentence(TOPIC, "A", "B") == (
        "topic: B is 1.9 points less accurate than A (95 %: 0.8 to 3.0; McNemar p = 0.001, 57 against 19 texts)"
    )
    more = replace(TOPIC, metrics=(Difference("accuracy", 0.881, 0.9, Interval(0.008, 0.03)),), p=0.0001)
    assert "B is 1.9 points more accurate than A (95 %: 0.8 to 3.0; McNemar p < 0.001" in comparison_sentence(more, "A", "B")


@pytest.mark.parametrize(("low", "high", "p"), [(-0.03, -0.008, 0.06), (-0.03, -0.008, 0.001), (-0.03, 0.001, 0.01)])
def test_it_is_never_no_difference_where_interval_or_test_say_otherwise(low: float, high: float, p: float) -> None:
    found = replace(TOPIC, metrics=(Difference("accuracy", 0.9, 0.881, Interval(low, high)),), p=p)
    sentence = comparison_sentence(found, "A", "B")
    assert "no clear difference" not in sentence
    assert ("disagree" in sentence) == (p != 0.001)


def test_other_metrics_and_undefined_ones() -> None:
    row = Difference("spearman", 0.7, 0.75, Interval(0.01, 0.09))
    stars = TaskComparison("stars", "regression", 300, "spearman", (row, Difference("mse", 1.0, 0.5, Interval(-0.7, -0.2))))
    assert comparison_sentence(stars, "A", "B") == "stars: Spearman of B is 0.0500 higher than of A (95 %: 0.0100 to 0.0900)"
    same = replace(stars, metrics=(replace(row, interval=Interval(-0.01, 0.11)),))
    assert comparison_sentence(same, "A", "B") == (
        "stars: no clear difference in Spearman: +0.0500 for B (95 %: -0.0100 to 0.1100)"
    )
    nan = float("nan")
    unknown = replace(stars, metrics=(Difference("spearman", nan, 0.7, Interval(nan, nan)),))
    assert "cannot be compared" in comparison_sentence(unknown, "A", "B")
    text = drawn(comparison_table(stars, "runs/a", "runs/b", 80))
    assert ["MSE", "1.000", "0.500", "-0.5000", "-0.7000..-0.2000"] in [line.split() for line in text.splitlines()]
    assert widest(text) <= 80
