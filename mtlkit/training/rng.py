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
    """The generators of one training: for the CPU, and for `device` if different.

    Reuses the generators of `model`'s dropout layers if present, else creates them from `seed`; all dropout then draws from that
    of the device. Other trainings, threads or notebook cells cannot draw from them.
    """

    def __init__(self, model: nn.Module, device: torch.device, seed: int = 0) -> None:
        own = {one.generator.device.type: one.generator for one in dropouts(model) if one.generator is not None}
        self.cpu = own.get("cpu") or torch.Generator().manual_seed(seed)
        on_cpu = device.type == "cpu"
        self.others = [] if on_cpu else [own.get(device.type) or torch.Generator(device).manual_seed(seed)]
        draw_from(self.cpu if on_cpu else self.others[0], model)

    def now(self) -> Moment:
        """The current state."""
        return tuple(one.get_state() for one in (self.cpu, *self.others))

    def back_to(self, moment: Moment) -> None:
        """Restores an earlier state."""
        for one, state in zip((self.cpu, *self.others), moment, strict=True):
            one.set_state(state)

    @contextmanager
    def again(self, moment: Moment) -> Iterator[None]:
        """Within the context, draws the numbers from `moment` on again; restores the current state afterwards."""
        before = self.now()
        self.back_to(moment)
        try:
            yield
        finally:
            self.back_to(before)

    def state_dict(self) -> StateDict:
        cpu, *others = self.now()
        return StateDict({"processor": cpu, **{f"device {place}": one for place, one in enumerate(others)}})

    def load_state_dict(self, state: StateDict) -> None:
        """Restores a saved state; on a different kind of device, its generator restarts from its seed."""
        self.cpu.set_state(state.tensors["processor"])
        for place, one in enumerate(self.others):
            if f"device {place}" in state.tensors:
                one.set_state(state.tensors[f"device {place}"])
