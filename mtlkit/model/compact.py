"""Compact weights, a quarter of the size: matrices as int8 with one scale per row, everything else in half precision."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from mtlkit.errors import UsageError
from mtlkit.model.weight_checks import finite, usable
from mtlkit.model.weight_names import SCALE


def narrow(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts float32 weights to the compact format. The error of each number is at most 1/254 of the largest in its row.

    Raises UsageError for numbers that half precision cannot represent.
    """
    stored: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.ndim < 2:
            stored[name] = _half(name, weight)
            continue
        scale = (weight.abs().amax(1, keepdim=True) / 127).clamp(min=1e-12)
        stored[name] = (weight / scale).round().to(torch.int8)
        stored[name + SCALE] = scale
    return stored


def _half(name: str, weight: Tensor) -> Tensor:
    half = weight.half()
    if not half.isfinite().all():
        largest = float(weight.abs().max())
        raise UsageError(
            f"weight '{name}' reaches {largest:.4g}, and the half precision of --format compact holds numbers up to "
            f"{torch.finfo(torch.half).max:,.0f}; export in another format"
        )
    return half


def widen(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Converts stored weights to float32, compact or not.

    Raises KeyError for int8 weights without a scale, UnusableWeight for other dtypes and numbers that are not finite, ValueError
    for scales of the wrong shape.
    """
    widened: dict[str, Tensor] = {}
    for name, weight in weights.items():
        if weight.dtype == torch.int8:
            scale = weights[name + SCALE]
            if weight.ndim != 2 or scale.shape != (len(weight), 1) or not scale.is_floating_point():
                raise ValueError(f"{name} of shape {tuple(weight.shape)} has scales of shape {tuple(scale.shape)}")
            widened[name] = finite(name, weight.float() * usable(name + SCALE, scale))
        elif not name.endswith(SCALE):
            widened[name] = usable(name, weight)
    return widened
