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


def make_optimizer(
    parameters: Iterable[nn.Parameter], weight_decay: float, heads: Iterable[nn.Parameter] = (), head_rate: float = 1.0
) -> AdamW:
    """Only what has a gradient is in it, so nothing frozen is ever decayed. Norms and biases are not decayed either.

    Those of the parameters that belong to `heads` learn at `head_rate` times the rate of the others.
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    of_heads = {id(parameter) for parameter in heads}
    groups = [
        {
            "params": [one for one in trainable if (one.ndim >= 2) == matrix and (id(one) in of_heads) == head],
            "weight_decay": weight_decay if matrix else 0.0,
            "multiple": head_rate if head else 1.0,
        }
        for matrix in (True, False)
        for head in (False, True)
    ]
    fused = all(parameter.device.type in ("cpu", "cuda") for parameter in trainable)
    return AdamW([group for group in groups if group["params"]], betas=(0.9, 0.98), eps=1e-8, fused=fused)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Gives every group its multiple of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("multiple", 1.0)
