"""Torch's random numbers as they stand, to draw them a second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mtlkit.training.snapshot import Snapshot


class RandomState:
    """Where the generators of the processor and of a CUDA device stand."""

    def __init__(self, device: torch.device) -> None:
        self.devices = [device] if device.type == "cuda" else []
        self.processor = torch.get_rng_state()
        self.others = [torch.cuda.get_rng_state(one) for one in self.devices]

    @contextmanager
    def again(self) -> Iterator[None]:
        """Inside, the same numbers are drawn again; afterwards all goes on as if they had not been."""
        with torch.random.fork_rng(self.devices):
            self.restore()
            yield

    def restore(self) -> None:
        """The same numbers are drawn again."""
        torch.set_rng_state(self.processor)
        for device, state in zip(self.devices, self.others, strict=True):
            torch.cuda.set_rng_state(state, device)

    def state(self) -> Snapshot:
        """All that `load` needs."""
        return Snapshot({"processor": self.processor, **{f"device {place}": one for place, one in enumerate(self.others)}})

    @staticmethod
    def load(state: Snapshot, device: torch.device) -> None:
        """Random numbers go on from there; on a device of another kind, its own go on from its seed."""
        torch.set_rng_state(state.tensors["processor"])
        if device.type == "cuda" and "device 0" in state.tensors:
            torch.cuda.set_rng_state(state.tensors["device 0"], device)
