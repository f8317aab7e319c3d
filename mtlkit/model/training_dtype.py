"""The number format of matrix products in training on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor


def training_dtype(states: Tensor) -> torch.dtype | None:
    """The dtype of products with these states, float32 or bfloat16; None if they are not part of a training on a CPU."""
    if states.device.type != "cpu" or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return None
    if not torch.is_autocast_enabled("cpu"):
        return torch.float32 if states.dtype == torch.float32 else None
    half = torch.get_autocast_dtype("cpu") == torch.bfloat16 and states.dtype in (torch.float32, torch.bfloat16)
    return torch.bfloat16 if half else None
