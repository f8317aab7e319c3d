"""The device and precision that a model runs with, and its use after a fork."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from mtlkit.config.common import Device, Precision
from mtlkit.config.launch import launched
from mtlkit.errors import UsageError
from mtlkit.model.kernels import lacks_bf16


@dataclass(frozen=True)
class Compute:
    """A device and the precision of matrix products on it."""

    device: torch.device
    precision: Literal["fp32", "bf16"]

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)


def slow_precision(compute: Compute) -> str | None:
    """Why training in this precision is slow on this device; None if it is not."""
    if compute.device.type != "cpu" or compute.precision != "bf16" or not lacks_bf16():
        return None
    return "--precision bf16 is slower than fp32 on this processor, which has no bf16 products (AVX-512 BF16 or AMX)"


def _one_thread() -> None:
    """After a fork the other OpenMP threads do not exist, and waiting for them would block for ever."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_one_thread)


def check_fork(device: torch.device, process: int) -> None:
    """Raises UsageError if a model on a GPU is used in a fork of `process`, the process id that loaded it."""
    if device.type != "cpu" and process != os.getpid():
        raise UsageError(
            f"a model on {device.type} cannot be used in a process forked after loading it; start processes with the "
            "multiprocessing method 'spawn' and load the model in each"
        )


def choose_compute(device: Device, precision: Precision) -> Compute:
    """Resolves `auto`: CUDA, then Apple's MPS, then the CPU; bf16 on CUDA, fp32 elsewhere. Of several processes that torchrun
    starts on a machine, each has a GPU of its own. Raises UsageError if the device is not available."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    chosen = next(name for name in ("cuda", "mps", "cpu") if available[name]) if device == "auto" else device
    if not available[chosen]:
        usable = ", ".join(name for name, usable in available.items() if usable)
        raise UsageError(f"--device {chosen} is not available on this machine; available: {usable}")
    resolved = precision if precision != "auto" else ("bf16" if chosen == "cuda" else "fp32")
    return Compute(_own_gpu() if chosen == "cuda" else torch.device(chosen), resolved)


def _own_gpu() -> torch.device:
    """The GPU of this process. Raises UsageError if there are fewer GPUs than processes on this machine."""
    launch = launched()
    if launch.size == 1:
        return torch.device("cuda")
    if launch.local_rank >= (gpus := torch.cuda.device_count()):
        raise UsageError(
            f"process {launch.local_rank + 1} on this machine has no GPU of its own, as there are {gpus}; start "
            f"--nproc-per-node {gpus} processes, or use --device cpu"
        )
    torch.cuda.set_device(launch.local_rank)
    return torch.device("cuda", launch.local_rank)
