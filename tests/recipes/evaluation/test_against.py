from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import UsageError
from mtlkit.evaluation.comparison import Outputs
from mtlkit.inference.load_model import load
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.evaluation.against import aligned, check_against, reordered

STARS = TaskSpec("stars", "ordinal", ("1", "2", "3"))
TOPIC = TaskSpec("topic", "classification", ("a", "b"))


def model(name: str, *specs: TaskSpec) -> Any:
    return SimpleNamespace(name=name, specs={spec.name: spec for spec in specs}, tasks=tuple(spec.name for spec in specs))


def test_labels_in_another_order_are_matched_by_name(runs: Path) -> None:
    loaded, other = load(runs / "mtl"), load(runs / "mtl")
    spec = other.specs["kind"]
    other.specs["kind"] = replace(spec, labels=spec.labels[::-1])
    engine = other.engine.outputs
    other.engine.outputs = lambda *arguments: {name: found[:, ::-1] for name, found in engine(*arguments).items()}  # type: ignore[method-assign]
    found = evaluate(EvalOptions(), loaded, other).comparison
    assert found is not None
    for difference in (*found.tasks["kind"].metrics, *(row for _, row in found.tasks["kind"].classes)):
        assert difference.value == 0
    assert (found.tasks["kind"].only_model, found.tasks["kind"].only_against) == (0, 0)


def test_thresholds_move_with_their_labels() -> None:
    spec = TaskSpec("tags", "multi-label", ("a", "b", "c"), calibration=Calibration("thresholds", thresholds=(0.1, 0.2, 0.3)))
    found = aligned(spec, [2, 0, 1])
    assert (found.labels, found.thresholds) == (("c", "a", "b"), (0.3, 0.1, 0.2))
    assert aligned(replace(spec, labels=(), calibration=None), []).labels == ()


def test_an_ordinal_head_has_fewer_outputs_than_labels() -> None:
    outputs = np.zeros((4, 2), np.float32)
    assert reordered(Outputs(STARS, outputs), [0, 1, 2]).values is outputs
    other = replace(STARS, labels=("3", "2", "1"))
    with pytest.raises(UsageError, match="in another order: 3, 2, 1 in B, and 1, 2, 3 in A"):
        check_against(EvalOptions(against="B"), model("A", STARS), model("B", other), ["stars"])
    check_against(EvalOptions(against="B"), model("A", STARS), model("B", STARS), ["stars"])


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (TaskSpec("topic", "classification", ("a", "c")), "only A has b; only B has c"),
        (TaskSpec("topic", "multi-label", ("a", "b")), "is multi-label in B, and classification in A"),
        (TaskSpec("mood", "classification", ("a", "b")), "no task in common; A has topic, B mood"),
    ],
)
def test_models_that_cannot_be_compared_are_refused(other: TaskSpec, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_against(EvalOptions(against="B"), model("A", TOPIC), model("B", other), ["topic"])


def test_vectors_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="remove --sts"):
        check_against(EvalOptions(probe=True, against="B"), model("A", TOPIC), model("B", TOPIC), ())
