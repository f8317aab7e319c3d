"""The gradient tracker, saved between any two steps and loaded into a new one."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtlkit.inference.compute import Compute
from mtlkit.training.diagnostics.gradient_stats import TrackedStep
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker

TASKS = ("a", "b", "c")
Work = dict[str, float]


class Model(nn.Module):
    """A shared weight and a weight in each head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.blocks = nn.ModuleList([nn.Linear(2, 2, bias=False)])
        self.heads = nn.ModuleDict({task: nn.Linear(2, 1, bias=False) for task in TASKS})
        for weight in self.parameters():
            nn.init.constant_(weight, 1.0)

    def losses(self, work: Work) -> dict[str, Tensor]:
        shared = self.get_parameter("backbone.blocks.0.weight")
        return {task: (self.get_parameter(f"heads.{task}.weight") @ shared).pow(2).sum() * value for task, value in work.items()}


def take(tracker: GradientTracker[Any], model: Model, index: int) -> TrackedStep | None:
    """Step `index` of a round-robin; the seventh has a gradient a hundred times as long."""
    piece = {TASKS[index % 3]: (1.0 + index / 10) * (100.0 if index == 7 else 1.0)}
    tracker.begin(index, 1)
    losses = model.losses(piece)
    tracker.gradients(piece, losses)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    tracker.norms()
    for weight in model.parameters():
        weight.grad = None
    return tracker.end()


@pytest.mark.parametrize("every", [0, 1, 2, 5])
def test_it_resumes_from_its_state(every: int) -> None:
    model = Model()
    tracker: GradientTracker[Any] = GradientTracker(model, TASKS, model.losses, Compute(torch.device("cpu"), "fp32"), every)
    states, found = [], []
    for index in range(14):
        states.append((json.loads(json.dumps(tracker.state_dict())), json.loads(json.dumps(tracker.pairs.last))))
        found.append(take(tracker, model, index))
    summary = tracker.summary()
    assert (summary is None) == (every == 0)
    for step, (state, last) in enumerate(states):
        again: GradientTracker[Any] = GradientTracker(model, TASKS, model.losses, Compute(torch.device("cpu"), "fp32"), every)
        again.load_state_dict(state, last)
        assert [take(again, model, index) for index in range(step, 14)] == found[step:]
        other = again.summary()
        assert (other is None) == (summary is None)
        if summary and other:
            assert (other.steps, other.norms, other.pairs) == (
                summary.steps,
                summary.norms,
                summary.pairs,
            )


def without_times(tracker: GradientTracker[Any]) -> str:
    """Its state, but for how long it took."""
    return json.dumps({name: value for name, value in tracker.state_dict().items() if name not in ("seconds", "total")})


def test_skipped_step_leaves_no_trace() -> None:
    model = Model()
    tracker: GradientTracker[Any] = GradientTracker(model, TASKS, model.losses, Compute(torch.device("cpu"), "fp32"), 1)
    for index in range(5):
        take(tracker, model, index)
    state, last = without_times(tracker), dict(tracker.pairs.last)
    piece = {"b": 3.0, "c": 2.0}
    tracker.begin(5, 1)
    tracker.gradients(piece, model.losses(piece))
    tracker.norms()
    assert without_times(tracker) != state
    tracker.undo()
    assert without_times(tracker) == state
    assert tracker.pairs.last == last
