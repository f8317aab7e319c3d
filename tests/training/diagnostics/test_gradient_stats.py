from __future__ import annotations

import json
from dataclasses import replace
from math import inf, nan

import pytest

from mtlkit.training.diagnostics.gradient_stats import WHOLE, GradientAgreement, TrackedPair, TrackedStep, summarise

PAIR = ("topic", "sentiment")


def test_cosine_magnitude_similarity_and_ratio() -> None:
    found = GradientAgreement.of(-30.0, 25.0, 100.0)  # lengths of 5 and 10
    assert found == GradientAgreement(pytest.approx(-0.6), pytest.approx(0.8), pytest.approx(0.5))  # type: ignore[arg-type]
    assert GradientAgreement.of(25.0000001, 25.0, 25.0) == GradientAgreement(1.0, 1.0, 1.0)  # rounding leaves it a cosine


@pytest.mark.parametrize(
    "sums", [(0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (nan, 1.0, 1.0), (1.0, inf, 1.0), (1.0, 1.0, nan), (1.0, nan, 1.0)]
)
def test_what_is_zero_or_not_finite_agrees_with_nothing(sums: tuple[float, float, float]) -> None:
    assert GradientAgreement.of(*sums) is None


def step(norm: float | None, cosine: float | None, ratio: float = 1.0) -> TrackedStep:
    """A part of the backbone with all of its gradient."""
    found = None if cosine is None else GradientAgreement(cosine, 0.5, ratio)
    return TrackedStep({"layers:0": norm}, {"layers:0": None}, (TrackedPair(PAIR, {WHOLE: found, "layers:0": found}),))


def test_an_epoch_is_summed_up_over_what_is_there() -> None:
    steps = [step(1.0, 0.5, 4.0), step(3.0, -0.1, 1.0), step(None, None)]
    found = summarise([*steps, replace(steps[0], pairs=())], seconds=1.0, total=50.0)
    assert (found.steps, found.cost) == (4, 0.02)
    assert found.norms == {"layers:0": pytest.approx(5 / 3)}
    assert found.ratios == {"layers:0": None}
    (pair,) = found.pairs
    assert pair.tasks == PAIR
    assert pair.whole is not None
    assert (pair.whole.steps, pair.whole.share) == (2, 0.5)
    assert pair.whole.cosine == pytest.approx(0.2)
    assert pair.whole.ratio == pytest.approx(2.0)  # the geometric mean


def test_gradients_that_never_met_are_none_and_json_holds_null() -> None:
    found = summarise([step(None, None)], 0.0, 0.0)
    assert found.pairs[0].whole is None
    assert found.pairs[0].worst is None
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["pairs"] == [{"tasks": list(PAIR), "parts": {WHOLE: None, "layers:0": None}}]
    assert (document["norms"], document["cost"]) == ({"layers:0": None}, 0.0)


def test_the_worst_part_is_the_one_with_most_conflict_then_the_lower_cosine() -> None:
    def step_with(**cosines: float) -> TrackedStep:
        return TrackedStep(
            {}, {}, (TrackedPair(PAIR, {part: GradientAgreement(one, 1.0, 1.0) for part, one in cosines.items()}),)
        )

    (pair,) = summarise([step_with(backbone=-0.9, a=-0.9, b=-0.1), step_with(backbone=-0.9, a=0.1, b=-0.1)], 0.0, 1.0).pairs
    assert pair.worst == "b"
    (pair,) = summarise([step_with(backbone=-0.9, a=-0.1, b=-0.2)], 0.0, 1.0).pairs
    assert pair.worst == "b"
    (pair,) = summarise([step_with(backbone=-0.9, a=-0.1)], 0.0, 1.0).pairs
    assert pair.worst is None  # there is but one
