"""AdamW with weight decay on matrices only, and the learning rate as a function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import AdamW


@dataclass(frozen=True)
class LearningRate:
    """Linear warm-up, then half a cosine down to a tenth of the peak (Loshchilov & Hutter 2017)."""

    peak: float
    steps: int
    warmup: float = 0.1
    floor: float = 0.1

    def at(self, step: int) -> float:
        """The rate of step 0, 1, ..."""
        rising = max(1, round(self.steps * self.warmup))
        if step < rising:
            return self.peak * (step + 1) / rising
        done = min(1.0, (step - rising) / max(1, self.steps - rising))
        return self.peak * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)


def make_optimizer(parameters: Iterable[nn.Parameter], weight_decay: float) -> AdamW:
    """Only what has a gradient is in it, so nothing frozen is ever decayed. Norms and biases are not decayed either."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trainable if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trainable if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trainable)
    return AdamW([group for group in groups if group["params"]], betas=(0.9, 0.98), eps=1e-8, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
