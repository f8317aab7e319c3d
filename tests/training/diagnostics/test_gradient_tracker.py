"""Gradients that one can work out by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mtlkit.inference.compute import Compute
from mtlkit.training.diagnostics.gradient_stats import WHOLE, GradientAgreement, TrackedStep
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker

CPU = Compute(torch.device("cpu"), "fp32")


class Two(nn.Module):
    """Two shared weights, each in a block of its own, and one in each head. Gradients are what one likes."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.blocks = nn.ModuleList(nn.Linear(1, 1, bias=False) for _ in range(2))
        self.heads = nn.ModuleDict({task: nn.Linear(1, 1, bias=False) for task in ("a", "b", "c")})
        for weight, value in zip(self.parameters(), (3.0, 4.0, 2.0, 2.0, 2.0), strict=True):
            nn.init.constant_(weight, value)

    @property
    def shared(self) -> list[nn.Parameter]:
        return [self.get_parameter(f"backbone.blocks.{block}.weight") for block in range(2)]

    def losses(self, work: Mapping[str, tuple[float, float]]) -> dict[str, Tensor]:
        """A loss with this gradient on the blocks, and 5 on its head."""
        low, high = self.shared
        heads = {task: self.get_parameter(f"heads.{task}.weight") for task in work}
        return {task: (x * low + y * high + 5 * heads[task]).sum() for task, (x, y) in work.items()}

    def track(self, every: int = 1) -> GradientTracker[Any]:
        return GradientTracker(self, tuple(self.heads), self.losses, CPU, every)


def take(
    tracker: GradientTracker[Any], model: Two, index: int, *pieces: dict[str, tuple[float, float]], rate: float = 0.0
) -> TrackedStep | None:
    """A step of plain gradient descent on the losses of some pieces."""
    tracker.begin(index, len(pieces))
    for piece in pieces:
        losses = model.losses(piece)
        tracker.gradients(piece, losses)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    tracker.norms()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.grad is not None:
                weight.sub_(rate * weight.grad)
                weight.grad = None
    return tracker.end()


def test_norms_ratios_and_cosines_by_hand() -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 1)
    found = take(tracker, model, 0, {"a": (3.0, 4.0), "b": (-6.0, 8.0)}, rate=0.1)
    assert found is not None
    assert found.norms == {"layers:0": 3.0, "layers:1": 12.0, "head:a": 5.0, "head:b": 5.0, "head:c": None}
    expected = {"layers:0": 0.3 / 3, "layers:1": 1.2 / 4, "head:a": 0.5 / 2, "head:b": 0.5 / 2, "head:c": None}
    assert found.ratios == {part: pytest.approx(value) for part, value in expected.items()}
    (pair,) = found.pairs
    assert pair.tasks == ("a", "b")
    assert pair.parts[WHOLE] == GradientAgreement(*map(pytest.approx, (14 / 50, 2 * 50 / 125, 5 / 10)))  # type: ignore[arg-type]
    assert pair.parts["layers:0"] == GradientAgreement(*map(pytest.approx, (-1.0, 2 * 18 / 45, 0.5)))  # type: ignore[arg-type]
    assert pair.parts["layers:1"] == GradientAgreement(*map(pytest.approx, (1.0, 2 * 32 / 80, 0.5)))  # type: ignore[arg-type]


def test_a_task_that_the_step_lacks_is_taken_at_the_weights_of_now() -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 2)
    assert take(tracker, model, 0, {"a": (3.0, 4.0)}) is None  # b was not met yet
    first = take(tracker, model, 1, {"b": (-3.0, -4.0)})
    assert take(tracker, model, 2, {"b": (1.0, 1.0)}) is None  # the turn is a's
    second = take(tracker, model, 3, {"a": (8.0, 6.0)})
    assert first is not None
    assert second is not None
    assert [step.pairs[0].tasks for step in (first, second)] == [("a", "b")] * 2
    cosines = [found.cosine for step in (first, second) if (found := step.pairs[0].parts[WHOLE])]
    assert cosines == pytest.approx([-1.0, 14 / (10 * 2**0.5)])
    assert first.norms["head:a"] is None  # nothing of it went into the step
    assert second.norms["layers:0"] == 8.0


def test_the_gradient_held_against_another_is_of_the_weights_of_now() -> None:
    class Curved(Two):
        def losses(self, work: Mapping[str, tuple[float, float]]) -> dict[str, Tensor]:
            return {task: (self.shared[0] - place).square().sum() for task, (place, _) in work.items()}

    model = Curved()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 1)
    take(tracker, model, 0, {"a": (0.0, 0.0)}, rate=2.0)  # goes from 3 to -9, past the optimum of both
    found = take(tracker, model, 1, {"b": (0.0, 0.0)})
    assert found is not None
    assert found.pairs[0].parts[WHOLE] == GradientAgreement(1.0, 1.0, 1.0)


def test_the_weight_of_a_loss_is_taken_out_of_its_gradient() -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 1)
    take(tracker, model, 0, {"a": (3.0, 4.0)})
    tracker.begin(1)
    losses = model.losses({"b": (4.0, 3.0)})
    tracker.gradients({}, losses)
    (7 * losses["b"]).backward()  # type: ignore[no-untyped-call]
    tracker.norms({"b": torch.tensor(7.0)})
    found = tracker.end()
    assert found is not None
    assert found.norms["layers:0"] == 28.0  # what the step takes
    assert found.pairs[0].parts[WHOLE] == GradientAgreement(*map(pytest.approx, (24 / 25, 1.0, 1.0)))  # type: ignore[arg-type]


def test_guards_are_no_tasks() -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 1)
    for index, work in enumerate(({"a": (3.0, 4.0)}, {"b": (4.0, 3.0)})):
        tracker.begin(index)
        losses = model.losses(work)
        losses["guard:l2sp"] = 100 * model.shared[0].sum()
        tracker.gradients(work, losses)
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        tracker.norms()
        found = tracker.end()
        model.zero_grad()
    assert found is not None
    assert found.norms["layers:0"] == 104.0
    assert found.pairs[0].parts[WHOLE] == GradientAgreement(*map(pytest.approx, (24 / 25, 1.0, 1.0)))  # type: ignore[arg-type]


def test_all_pairs_take_turns() -> None:
    model = Two()
    tracker = model.track()
    work = {"a": (1.0, 0.0), "b": (0.0, 1.0), "c": (1.0, 1.0)}
    met = [found.pairs[0].tasks for index in range(6) if (found := take(tracker, model, index, work))]
    assert met == [("a", "b"), ("a", "c"), ("b", "c")] * 2


def test_a_step_of_several_pieces_is_one() -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 1)
    found = take(tracker, model, 0, {"a": (3.0, 4.0)}, {"a": (3.0, 4.0)}, {"b": (-3.0, 4.0)})
    assert found is None  # when it was decided, b was not met
    found = take(tracker, model, 1, {"a": (3.0, 4.0)}, {"a": (3.0, 4.0)}, {"b": (-3.0, 4.0)})
    assert found is not None
    assert found.norms["layers:1"] == 12.0
    assert found.pairs[0].parts[WHOLE] == GradientAgreement(*map(pytest.approx, (7 / 25, 1.0, 1.0)))  # type: ignore[arg-type]


def test_a_task_that_never_comes_is_not_waited_for() -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 10)
    found = [take(tracker, model, index, {"a": (1.0, 1.0)}) for index in range(20)]
    assert [index for index, step in enumerate(found) if step] == [4, 14]
    assert all(step.pairs == () for step in found if step)


def test_every_zero_tracks_nothing_and_one_task_has_no_pairs() -> None:
    model = Two()
    frozen_params, alone = model.track(0), GradientTracker(model, ("a",), model.losses, CPU, 3)
    assert [take(frozen_params, model, index, {"a": (1.0, 1.0)}) for index in range(4)] == [None] * 4
    assert frozen_params.summary() is None
    found = [take(alone, model, index, {"a": (1.0, 1.0)}) for index in range(7)]
    assert [index for index, step in enumerate(found) if step] == [0, 3, 6]
    assert all(step.pairs == () for step in found if step)


def test_a_summary_is_of_the_steps_since_the_last_one() -> None:
    model = Two()
    tracker = model.track()
    for index in range(3):
        take(tracker, model, index, dict.fromkeys("abc", (1.0, 1.0)))
    first = tracker.summary()
    assert first is not None
    assert first.steps == 3
    assert 0 < first.seconds < first.total
    assert tracker.summary() is None
    take(tracker, model, 3, dict.fromkeys("abc", (1.0, 1.0)))
    second = tracker.summary()
    assert second is not None
    assert (second.steps, second.norms["layers:0"]) == (1, 3.0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_null(bad: float) -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 1)
    tracker.begin(0)
    losses = model.losses({"a": (bad, 1.0), "b": (1.0, 1.0)})
    tracker.gradients({}, losses)
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    tracker.norms()
    found = tracker.end(skipped=True)
    assert found is not None
    made = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert made["norms"] == {"layers:0": None, "layers:1": 2.0, "head:a": 5.0, "head:b": 5.0, "head:c": None}
    assert set(made["ratios"].values()) == {None}
    assert made["pairs"][0]["parts"]["layers:0"] is None
    assert made["pairs"][0]["parts"]["layers:1"]["cosine"] == 1.0


def test_what_is_frozen_has_no_figures_until_it_thaws() -> None:
    model = Two()
    tracker = GradientTracker(model, ("a", "b"), model.losses, CPU, 1)
    work = {"a": (3.0, 4.0), "b": (3.0, -4.0)}
    for weight in model.shared:
        weight.requires_grad_(False)
    found = take(tracker, model, 0, work)
    assert found is not None
    assert found.norms == {"layers:0": None, "layers:1": None, "head:a": 5.0, "head:b": 5.0, "head:c": None}
    assert found.pairs == ()
    model.shared[1].requires_grad_(True)
    found = take(tracker, model, 1, work)
    assert found is not None
    assert (found.norms["layers:0"], found.norms["layers:1"]) == (None, 0.0)
    assert set(found.pairs[0].parts) == {WHOLE, "layers:1"}
