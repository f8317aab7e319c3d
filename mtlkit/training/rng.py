"""The random numbers of a training: where they come from, and how they are drawn a second time or after a resume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from mtlkit.model.randomness import draw_from, dropouts
from mtlkit.training.state_dict import StateDict

Moment = tuple[torch.Tensor, ...]  # the state of each generator


class RandomState:
    """Generators that belong to one training: of the CPU, and of its `device` if that is another.

    Taken over from the dropout layers of `model` where they have them, else made from `seed`; all dropout draws from that of the
    device from then on. No other training, thread or notebook cell can draw from them.
    """

    def __init__(self, model: nn.Module, device: torch.device, seed: int = 0) -> None:
        own = {one.generator.device.type: one.generator for one in dropouts(model) if one.generator is not None}
        self.cpu = own.get("cpu") or torch.Generator().manual_seed(seed)
        on_cpu = device.type == "cpu"
        self.others = [] if on_cpu else [own.get(device.type) or torch.Generator(device).manual_seed(seed)]
        draw_from(self.cpu if on_cpu else self.others[0], model)

    def now(self) -> Moment:
        """Where they stand."""
        return tuple(one.get_state() for one in (self.cpu, *self.others))

    def back_to(self, moment: Moment) -> None:
        """The numbers from `moment` on are drawn again."""
        for one, state in zip((self.cpu, *self.others), moment, strict=True):
            one.set_state(state)

    @contextmanager
    def again(self, moment: Moment) -> Iterator[None]:
        """Within, the numbers from `moment` on are drawn again; afterwards it continues as if they had not been."""
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
        """Continues from there; on a device of another kind than before, its generator continues from its seed."""
        self.cpu.set_state(state.tensors["processor"])
        for place, one in enumerate(self.others):
            if f"device {place}" in state.tensors:
                one.set_state(state.tensors[f"device {place}"])
