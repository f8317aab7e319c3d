"""Where and how precisely a model runs, and what a forked process can still use of it."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from mtlkit.config.common import Device, Precision
from mtlkit.errors import UsageError


@dataclass(frozen=True)
class Compute:
    """Where and how precisely the numbers are worked out."""

    device: torch.device
    precision: Literal["fp32", "bf16"]

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def _one_thread() -> None:
    """OpenMP's other threads do not exist in a forked process, and waiting for them would last for ever."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_one_thread)


def check_fork(device: torch.device, process: int) -> None:
    """Raises UsageError where a model that `process` put on a GPU is used in a process forked from it."""
    if device.type != "cpu" and process != os.getpid():
        raise UsageError(
            f"a model on {device.type} cannot be used in a process that was forked after it was loaded; start the process with "
            "multiprocessing's method 'spawn' and load the model there"
        )


def choose_compute(device: Device, precision: Precision) -> Compute:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; bf16 on CUDA, fp32 elsewhere. Raises UsageError when the device
    asked for is not there."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    chosen = next(name for name in ("cuda", "mps", "cpu") if there[name]) if device == "auto" else device
    if not there[chosen]:
        usable = ", ".join(name for name, found in there.items() if found)
        raise UsageError(f"--device {chosen} is not available on this machine; available: {usable}")
    exact = precision if precision != "auto" else ("bf16" if chosen == "cuda" else "fp32")
    return Compute(torch.device(chosen), exact)
