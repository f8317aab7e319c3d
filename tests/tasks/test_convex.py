"""Convex losses agree with the losses that gradient steps minimise, and so do their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import TaskSpec
from mtlkit.model.heads.losses import LossOptions
from mtlkit.tasks.base import kind_of
from mtlkit.tasks.convex import ConvexLoss

ROWS = 7
CLASSES = TaskSpec("task", "classification", ("a", "b", "c"))
LABELS = TaskSpec("task", "multi-label", ("a", "b", "c"))
GRADES = TaskSpec("task", "ordinal", ("1", "2", "3", "4"))
EACH_GRADE = np.array([0, 3, 1, 2, 2, 0, 3])
NUMBERS = TaskSpec("task", "regression", (), center=2.0, spread=3.0)
RANDOM = np.random.default_rng(0)
CASES: dict[str, tuple[TaskSpec, Any, LossOptions]] = {
    "classes": (CLASSES, RANDOM.integers(0, 3, ROWS), LossOptions()),
    "smoothed": (CLASSES, RANDOM.integers(0, 3, ROWS), LossOptions(smoothing=0.2)),
    "weighted": (CLASSES, RANDOM.integers(0, 3, ROWS), LossOptions(((0.5, 1.0, 2.0),), smoothing=0.1)),
    "labels": (LABELS, RANDOM.integers(0, 2, (ROWS, 3)).astype(np.float32), LossOptions()),
    "weighted labels": (
        LABELS,
        RANDOM.integers(0, 2, (ROWS, 3)).astype(np.float32),
        LossOptions(((0.5, 2.0),) * 3, smoothing=0.1),
    ),
    "grades": (GRADES, EACH_GRADE, LossOptions()),
    "weighted grades": (GRADES, EACH_GRADE, LossOptions(((0.5, 1.0, 2.0, 1.0),), smoothing=0.1)),
    "numbers": (NUMBERS, RANDOM.normal(size=ROWS).astype(np.float32), LossOptions()),
}


def loss_and_outputs(name: str) -> tuple[ConvexLoss, np.ndarray[Any, np.dtype[np.float64]]]:
    spec, labels, options = CASES[name]
    loss = kind_of(spec.kind).convex_loss(spec, labels, options, np.ones(ROWS))
    assert loss is not None
    outputs = np.random.default_rng(1).normal(size=(ROWS, spec.outputs))
    return loss, np.sort(outputs, axis=1) if kind_of(spec.kind).ordered else outputs


@pytest.mark.parametrize("name", CASES)
def test_the_loss_is_that_of_gradient_steps(name: str) -> None:
    spec, labels, options = CASES[name]
    loss, outputs = loss_and_outputs(name)
    given = torch.from_numpy(outputs * spec.spread + spec.center)
    expected = kind_of(spec.kind).loss(spec, given, torch.from_numpy(labels), options).item() * ROWS
    expected *= {"multi-label": 3, "regression": 0.5}.get(spec.kind, 1)  # a sum over labels; half the square
    assert loss.gradient(outputs)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_the_loss(name: str) -> None:
    loss, outputs = loss_and_outputs(name)
    gradient = loss.gradient(outputs.copy())[1]
    for place in np.ndindex(outputs.shape):
        ends = []
        for step in (1e-5, -1e-5):
            moved = outputs.copy()
            moved[place] += step
            ends.append(loss.gradient(moved)[0])
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_the_losses_of_rows_add_up_without_smoothing(name: str) -> None:
    spec, labels, options = CASES[name]
    loss = kind_of(spec.kind).convex_loss(spec, labels, LossOptions(options.class_weights), np.arange(ROWS) + 1.0)
    assert loss is not None
    outputs = loss_and_outputs(name)[1]
    assert loss.each(outputs).sum() == pytest.approx(loss.gradient(outputs)[0])
    part = np.array([4, 2])
    np.testing.assert_allclose(loss.take(part).each(outputs[part]), loss.each(outputs)[part])


@pytest.mark.parametrize("spec", [CLASSES, LABELS, GRADES], ids=["classification", "multi-label", "ordinal"])
def test_the_focal_loss_is_not_convex(spec: TaskSpec) -> None:
    labels = np.zeros((2, 3), np.float32) if spec is LABELS else np.zeros(2, np.int64)
    assert kind_of(spec.kind).convex_loss(spec, labels, LossOptions(focal=2.0), np.ones(2)) is None
