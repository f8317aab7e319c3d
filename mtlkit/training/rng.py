"""Random number generators of a training, which can be rewound and saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mtlkit.model.randomness import draw_from, dropouts
from mtlkit.training.state_dict import StateDict

Moment = tuple[torch.Tensor, ...]  # the state of each generator


class RandomState:
    """The random number generators of one training: one for the CPU, and one for `device` if that is different.

    Uses the generators of the model's dropout layers if they have any, otherwise new ones with `seed`, and makes all dropout
    layers draw from that of the device. Nothing else draws from them: other trainings and threads have no effect.
    """

    def __init__(self, model: nn.Module, device: torch.device, seed: int = 0) -> None:
        own = {layer.generator.device.type: layer.generator for layer in dropouts(model) if layer.generator is not None}
        self.cpu = own.get("cpu") or torch.Generator().manual_seed(seed)
        on_cpu = device.type == "cpu"
        self.others = [] if on_cpu else [own.get(device.type) or torch.Generator(device).manual_seed(seed)]
        draw_from(self.cpu if on_cpu else self.others[0], model)

    def now(self) -> Moment:
        """The current state."""
        return tuple(generator.get_state() for generator in (self.cpu, *self.others))

    def back_to(self, moment: Moment) -> None:
        """Restores an earlier state."""
        for generator, state in zip((self.cpu, *self.others), moment, strict=True):
            generator.set_state(state)

    def restart(self, seed: int) -> None:
        """Starts all generators again from a seed."""
        for generator in (self.cpu, *self.others):
            generator.manual_seed(seed)

    @contextmanager
    def again(self, moment: Moment) -> Iterator[None]:
        """Within the context, draws the same numbers as after `moment`; restores the current state at its end."""
        before = self.now()
        self.back_to(moment)
        try:
            yield
        finally:
            self.back_to(before)

    def state_dict(self) -> StateDict:
        cpu, *others = self.now()
        return StateDict({"processor": cpu, **{f"device {index}": state for index, state in enumerate(others)}})

    def load_state_dict(self, state: StateDict) -> None:
        """Restores a saved state. On a device that was not used before, the generator keeps its initial state."""
        self.cpu.set_state(state.tensors["processor"])
        for index, generator in enumerate(self.others):
            if f"device {index}" in state.tensors:
                generator.set_state(state.tensors[f"device {index}"])
