from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
import torch
from support import train_steps
from torch import Tensor, nn

from mtlkit.errors import DivergedError, UsageError
from mtlkit.inference.compute import Compute, choose_compute
from mtlkit.training.loop import Step
from mtlkit.training.optimizer import EagerAdamW, LearningRate

CPU = Compute(torch.device("cpu"), "fp32")
STEADY = LearningRate(0.1, 10, warmup=0.0, floor=1.0)

Losses = Callable[[float], dict[str, Tensor]]


class Line(nn.Module):
    """One weight matrix of a single number, started at 1, and a bias that starts at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.ones(1, 1))
        self.shift = nn.Parameter(torch.zeros(1))

    def values(self) -> tuple[float, float]:
        return self.slope.item(), self.shift.item()


def run(model: nn.Module, work: Iterable[float], losses: Losses, clip: float = 0.0, decay: float = 0.0) -> list[Step[float]]:
    return list(train_steps(model, work, losses, STEADY, weight_decay=decay, clip=clip, compute=CPU))


def test_losses_of_a_step_are_added() -> None:
    together, added = Line(), Line()
    run(together, [2.0, 3.0], lambda x: {"a": (together.slope * x).sum() ** 2, "b": 5 * together.shift.sum()})
    run(added, [2.0, 3.0], lambda x: {"sum": (added.slope * x).sum() ** 2 + 5 * added.shift.sum()})
    assert together.values() == added.values()


def test_step_reports_losses_and_total_gradient_norm() -> None:
    model = Line()
    (step,) = run(model, [2.0], lambda x: {"a": 3 * (model.slope * x).sum() + 1, "b": 8 * model.shift.sum()}, clip=1.0)
    assert (step.index, step.pieces, step.losses) == (0, (2.0,), {"a": 7.0, "b": 0.0})
    assert step.gradient_norm == pytest.approx(10.0)  # before clipping: 6 and 8
    assert (step.rate, step.skipped) == (0.1, False)


@pytest.mark.parametrize(("clip", "expected"), [(1.0, (0.6, 0.8)), (20.0, (6.0, 8.0)), (0.0, (6.0, 8.0))])
def test_the_gradient_is_clipped_to_the_norm_asked_for(
    clip: float, expected: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Line()
    seen: list[tuple[float, float]] = []
    step = EagerAdamW.step

    def watched(self: EagerAdamW) -> None:
        assert model.slope.grad is not None
        assert model.shift.grad is not None
        seen.append((model.slope.grad.item(), model.shift.grad.item()))
        step(self)

    monkeypatch.setattr(EagerAdamW, "step", watched)
    run(model, [1.0], lambda _: {"a": 6 * model.slope.sum() + 8 * model.shift.sum()}, clip=clip)
    assert seen == [pytest.approx(expected)]


def test_gradients_do_not_pile_up_from_step_to_step() -> None:
    model = Line()
    steps = run(model, [1.0, 1.0, 1.0], lambda _: {"a": 6 * model.slope.sum() + 8 * model.shift.sum()})
    assert [step.gradient_norm for step in steps] == pytest.approx([10.0] * 3)


def test_the_rate_of_each_step_is_used() -> None:
    model = Line()
    rate = LearningRate(0.1, 4, warmup=0.5)
    places = [model.shift.item()]
    for step in train_steps(model, range(4), lambda _: {"a": model.shift.sum()}, rate, weight_decay=0.0, clip=0.0, compute=CPU):
        places.append(model.shift.item())
        assert step.rate == rate.at(step.index)
    moved = [before - after for before, after in pairwise(places)]
    assert moved == pytest.approx(
        [rate.at(step) for step in range(4)], rel=1e-4
    )  # Adam under a steady gradient moves by the rate


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_loss_that_is_not_finite_stops_before_the_step(bad: float) -> None:  # fault 16
    model = Line()
    seen: list[tuple[float, float]] = []

    def go() -> None:
        for _ in train_steps(
            model,
            [1.0, 1.0, bad, 1.0],
            lambda x: {"good": model.shift.sum(), "topic": (model.slope * x).sum()},
            STEADY,
            weight_decay=0.5,
            clip=1.0,
            compute=CPU,
            describe=lambda x: f"rows 3, 17 of 'topic', {x}",
        ):
            seen.append(model.values())

    with pytest.raises(DivergedError) as caught:
        go()
    assert f"loss of 'topic' is {bad} at step 3 (rows 3, 17 of 'topic', {bad})" in str(caught.value)
    assert "--learning-rate" in str(caught.value)
    assert caught.value.exit_code == 5
    assert len(seen) == 2
    assert model.values() == seen[-1]


def test_one_infinite_gradient_skips_exactly_that_step() -> None:  # fault 17
    hit, clean = Line(), Line()

    def losses(model: Line) -> Losses:
        def infinite_at_three(x: float) -> Tensor:
            """A root has an infinite slope at 0, where its value is finite."""
            return (model.slope - (model.slope.detach() if x == 3 else 0)).sqrt().sum()

        return lambda x: {"a": ((model.slope - x) ** 2).sum() + ((model.shift - x) ** 2).sum() + infinite_at_three(x)}

    values: list[tuple[float, float]] = []
    steps = []
    for step in train_steps(hit, [5.0, 4.0, 3.0, 2.0, 6.0], losses(hit), STEADY, weight_decay=0.5, clip=1.0, compute=CPU):
        values.append(hit.values())
        steps.append(step)
    assert [step.skipped for step in steps] == [False, False, True, False, False]
    assert steps[2].gradient_norm == float("inf")
    assert values[2] == values[1]
    assert values[3] != values[2]
    run(clean, [5.0, 4.0, 2.0, 6.0], losses(clean), clip=1.0, decay=0.5)
    assert hit.values() == clean.values()  # nothing of the bad gradient stays behind, in Adam's averages neither


def test_frozen_parameters_keep_their_value_under_weight_decay() -> None:  # fault 18
    model = Line()
    model.slope.requires_grad_(False)
    run(model, [1.0] * 3, lambda _: {"a": (model.slope * model.shift + model.shift).sum()}, decay=1.0)
    assert model.slope.item() == 1.0
    assert model.shift.item() != 0.0


def test_work_is_taken_step_by_step() -> None:
    model = Line()
    taken: list[float] = []

    def work() -> Iterable[float]:
        for piece in (1.0, 2.0, 3.0):
            taken.append(piece)
            yield piece

    steps = train_steps(model, work(), lambda _: {"a": model.slope.sum()}, STEADY, weight_decay=0.0, clip=0.0, compute=CPU)
    assert taken == []
    next(steps)
    assert taken == [1.0]


def test_auto_takes_what_is_there() -> None:
    chosen = choose_compute("auto", "auto")
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert chosen.device.type == expected
    assert chosen.precision == ("bf16" if expected == "cuda" else "fp32")
    assert choose_compute("cpu", "auto") == CPU
    assert choose_compute("cpu", "bf16").precision == "bf16"


def test_a_device_that_is_not_there_is_refused() -> None:
    absent = "mps" if not torch.backends.mps.is_available() else "cuda"
    with pytest.raises(UsageError, match=f"--device {absent} is not available on this machine; available: .*cpu") as caught:
        choose_compute(absent, "auto")  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


def test_bf16_computes_in_bfloat16_and_keeps_weights_in_float32() -> None:
    model = nn.Linear(4, 4)
    kinds: list[torch.dtype] = []

    def losses(_: int) -> dict[str, Tensor]:
        outputs = model(torch.ones(2, 4))
        kinds.append(outputs.dtype)
        return {"a": outputs.float().square().mean()}

    compute = Compute(torch.device("cpu"), "bf16")
    steps = list(train_steps(model, range(2), losses, STEADY, weight_decay=0.0, clip=1.0, compute=compute))
    assert kinds == [torch.bfloat16] * 2
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert not any(step.skipped for step in steps)
