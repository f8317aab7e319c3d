"""Blocks whose inner states are computed again in the backward pass instead of being kept (Chen et al. 2016).

They draw the same numbers for dropout again, so gradients are the same to the bit. torch has this as `torch.utils.checkpoint`,
which imports its compiler, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mtlkit.model.layouts import TokenLayout
from mtlkit.model.randomness import dropouts


def recomputed(block: nn.Module, states_TD: Tensor, layout: TokenLayout) -> Tensor:
    """What a block makes of states, (T, D). Of all that its gradient needs, only these states are kept."""
    pass_again = _SecondPass(block, states_TD, layout)
    with saved_tensors_hooks(pass_again.count, pass_again.tensor):
        result: Tensor = block(states_TD, layout)
    return result


def trains(block: nn.Module, states_TD: Tensor) -> bool:
    """Whether the backward pass comes to a block."""
    return torch.is_grad_enabled() and (states_TD.requires_grad or any(weight.requires_grad for weight in block.parameters()))


class _SecondPass:
    """Stands for the tensors that the gradient of a block needs: numbers them in the first pass, and computes all of them when
    the first is asked for."""

    def __init__(self, block: nn.Module, states_TD: Tensor, layout: TokenLayout) -> None:
        self.block, self.states, self.layout = block, states_TD, layout
        self.device, self.half = states_TD.device.type, torch.is_autocast_enabled(states_TD.device.type)
        self.generator = next((layer.generator for layer in dropouts(block) if layer.generator is not None), None)
        self.drawn = None if self.generator is None else self.generator.get_state()
        self.numbered = 0
        self.tensors: dict[int, Tensor] = {}

    def count(self, tensor: Tensor) -> int:
        """The number of a tensor, which is not kept."""
        del tensor
        self.numbered += 1
        return self.numbered - 1

    def tensor(self, number: int) -> Tensor:
        """The tensor of a number, which is let go; if it is asked for once more, everything is computed once more."""
        if number not in self.tensors:
            self.tensors = dict(enumerate(self._computed()))
        return self.tensors.pop(number)

    def _computed(self) -> list[Tensor]:
        found: list[Tensor] = []

        def keep(tensor: Tensor) -> int:
            found.append(tensor.detach())
            return len(found) - 1

        states_TD = self.states.detach().requires_grad_(self.states.requires_grad)
        precision = torch.autocast(self.device, torch.get_autocast_dtype(self.device), enabled=self.half)
        with torch.enable_grad(), precision, self._rewound(), saved_tensors_hooks(keep, found.__getitem__):
            self.block(states_TD, self.layout)
        return found

    @contextmanager
    def _rewound(self) -> Iterator[None]:
        """Draws the numbers of the first pass, and restores the current state at the end."""
        if self.generator is None or self.drawn is None:
            yield
            return
        before = self.generator.get_state()
        self.generator.set_state(self.drawn)
        try:
            yield
        finally:
            self.generator.set_state(before)
