"""Checks that weights are finite floating-point numbers."""

from __future__ import annotations

import torch
from torch import Tensor

STORED = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


class UnusableWeight(ValueError):
    """A tensor that cannot be a weight; the message names it and gives the reason."""


def usable(name: str, weight: Tensor) -> Tensor:
    """Converts a stored weight to float32. Raises UnusableWeight for integers, booleans and narrower floats, whose values would
    depend on separate quantisation data, and for numbers that are not finite.
    """
    if weight.dtype not in STORED:
        known = ", ".join(map(type_name, STORED))
        raise UnusableWeight(f"weight '{name}' is stored as {type_name(weight.dtype)}; supported: {known}")
    return finite(name, weight.float())


def finite(name: str, weight: Tensor) -> Tensor:
    """Returns the weight. Raises UnusableWeight if it contains NaN or infinity."""
    if not weight.sum().isfinite() and not weight.isfinite().all():  # the sum is fast, but finite weights may overflow it
        count = int((~weight.isfinite()).sum())
        numbers = "1 number that is" if count == 1 else f"{count:,} numbers that are"
        raise UnusableWeight(f"weight '{name}' has {numbers} NaN or infinite; the file is damaged, or its training diverged")
    return weight


def type_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
