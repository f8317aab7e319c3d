"""The training loop: a generator that takes a step for every piece of work and yields what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor, nn

from mtlkit.errors import DivergedError, UsageError
from mtlkit.training.optimizer import LearningRate, make_optimizer, set_rate

Work = TypeVar("Work")
DeviceName = Literal["auto", "cpu", "cuda", "mps"]
PrecisionName = Literal["auto", "fp32", "bf16"]


@dataclass(frozen=True)
class Step(Generic[Work]):
    """What one step did. `losses` by task and `gradient_norm` (before clipping) are plain numbers; a skipped step had a
    gradient that was not finite and changed nothing."""

    index: int
    work: Work
    losses: dict[str, float]
    gradient_norm: float
    rate: float
    skipped: bool


@dataclass(frozen=True)
class Compute:
    """Where and how precisely the numbers are worked out."""

    device: torch.device
    precision: Literal["fp32", "bf16"]

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def choose_compute(device: DeviceName, precision: PrecisionName) -> Compute:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; bf16 on CUDA, fp32 elsewhere. Raises UsageError when the device
    asked for is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    chosen = next(name for name in ("cuda", "mps", "cpu") if there[name]) if device == "auto" else device
    if not there[chosen]:
        usable = ", ".join(name for name, found in there.items() if found)
        raise UsageError(f"--device {chosen} is not available on this machine; available: {usable}")
    exact = precision if precision != "auto" else ("bf16" if chosen == "cuda" else "fp32")
    return Compute(torch.device(chosen), exact)


def train(
    model: nn.Module,
    work: Iterable[Work],
    losses_of: Callable[[Work], dict[str, Tensor]],
    rate: LearningRate,
    *,
    weight_decay: float,
    clip: float,
    compute: Compute,
    heads: Iterable[nn.Parameter] = (),
    head_rate: float = 1.0,
    describe: Callable[[Work], str] = repr,
) -> Iterator[Step[Work]]:
    """One optimiser step a piece of work: losses are added, the gradient is clipped to norm `clip`.

    Parameters of `heads` learn at `head_rate` times the rate.

    Raises DivergedError before a step whose loss is not finite; `describe` then names the texts it came from.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = make_optimizer(parameters, weight_decay, heads, head_rate)
    for index, piece in enumerate(work):
        set_rate(optimizer, rate.at(index))
        with compute.autocast():
            losses = losses_of(piece)
        values = {name: loss.item() for name, loss in losses.items()}
        for name, value in values.items():
            if value != value or value in (float("inf"), float("-inf")):
                raise DivergedError(f"loss of '{name}' is {value} at step {index + 1} ({describe(piece)}); lower --learning-rate")
        torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(parameters, clip if clip > 0 else float("inf"))
        skipped = not bool(torch.isfinite(norm))
        if not skipped:
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield Step(index, piece, values, float(norm), rate.at(index), skipped)
