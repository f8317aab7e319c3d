"""Where and how precisely a model runs."""

from __future__ import annotations

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
