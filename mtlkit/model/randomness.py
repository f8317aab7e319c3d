"""Random numbers from a private generator: initial weights, dropout, and libraries that only use torch's global generator.

Nothing here touches the global generator, so trainings in one process, or other code that draws random numbers, do not affect
each other. A generator seeded with N gives the same numbers as torch after `torch.manual_seed(N)`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mtlkit.model.training_dtype import training_dtype

DRAWING = {
    torch.bernoulli,
    torch.multinomial,
    torch.normal,
    torch.rand,
    torch.randint,
    torch.randn,
    torch.randperm,
    Tensor.bernoulli_,
    Tensor.normal_,
    Tensor.uniform_,
    nn.init.kaiming_uniform_,
    nn.init.normal_,
    nn.init.uniform_,
}


class Dropout(nn.Dropout):
    """`nn.Dropout` that draws from `generator` (None: torch's global one). On a CPU it draws the same numbers as `nn.Dropout`."""

    generator: torch.Generator | None = None

    def forward(self, states: Tensor) -> Tensor:
        if self.generator is None or not self.training or not 0 < self.p < 1:
            return super().forward(states)
        noise = torch.empty_like(states).bernoulli_(1 - self.p, generator=self.generator).div_(1 - self.p)
        return states * noise

    def added(self, states: Tensor, change: Tensor) -> Tensor:
        """states + dropout(change). A `change` in bf16 gets dropout of a cheaper kind, and the sum is float32."""
        if self.generator is None or not self.training or not 0 < self.p < 1 or training_dtype(change) != torch.bfloat16:
            plain: Tensor = states + self(change)
            return plain
        result: Tensor = _AddDropped.apply(states, change, self.p, self.generator)  # type: ignore[no-untyped-call]
        return result


class _AddDropped(torch.autograd.Function):
    """states + dropout(change), of bf16: a mask of 16 bits for each number, 0 where it is dropped."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, change: Tensor, p: float, generator: torch.Generator) -> Tensor:
        kept = _kept(change.numel(), p, generator).view(change.shape)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - p)
        return torch.add(states, _masked(change.to(torch.bfloat16), kept), alpha=ctx.scale)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (kept,) = ctx.saved_tensors
        return grads[0], _masked((grads[0] * ctx.scale).to(torch.bfloat16), kept), None, None


def _masked(states: Tensor, kept: Tensor) -> Tensor:
    """bf16 states with 0 where the mask is 0."""
    return states.contiguous().view(torch.int16).bitwise_and(kept).view(torch.bfloat16)


def _kept(count: int, p: float, generator: torch.Generator) -> Tensor:
    """A mask of int16, 0 with probability p (up to 1 / 2**15), else -1. Draws one number from the generator, which seeds a faster
    one."""
    seed = int(torch.empty((), dtype=torch.int64).random_(generator=generator))
    drawn = np.random.SFC64(seed).random_raw(-(-count // 4))
    bits = torch.from_numpy(drawn.view(np.int16))[:count].bitwise_and_(2**15 - 1)
    return bits.neg_().add_(round(p * 2**15) - 1).bitwise_right_shift_(15)


def dropouts(model: nn.Module) -> Iterator[Dropout]:
    """The dropout layers of a model."""
    return (module for module in model.modules() if isinstance(module, Dropout))


def draw_from(generator: torch.Generator, model: nn.Module) -> None:
    """Makes all dropout layers of a model draw from one generator."""
    for module in dropouts(model):
        module.generator = generator


@contextmanager
def drawing_from(generator: torch.Generator | None) -> Iterator[None]:
    """Makes torch's random functions in this thread draw from `generator` (None: the global one, unchanged)."""
    if generator is None:
        yield
    else:
        with _DrawingFrom(generator):
            yield


class _DrawingFrom(TorchFunctionMode):
    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = dict(kwargs or {})
        if function in DRAWING and named.get("generator") is None:
            named["generator"] = self.generator
        return function(*args, **named)


# transformers puts its own functions in place of those of torch while it builds a model
INITIALISERS = ("torch.nn.init", "transformers.initialization")


class Uninitialised(TorchFunctionMode):
    """Skips `nn.init`. On the meta device initialisation does nothing, but the imports it needs take a second."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__module__", None) in INITIALISERS:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **(kwargs or {}))
