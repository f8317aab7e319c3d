"""Heads: from the sentence vector to a task's output, and its loss."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from mtlkit.config.architecture import TaskSpec, parse_head
from mtlkit.model.losses import PLAIN, LossOptions, loss_of
from mtlkit.model.randomness import Dropout


class Head(nn.Module):
    """Linear layers over the vector: (N, D) -> (N, outputs). Its kind decides the loss and what the output means."""

    def __init__(self, dim: int, spec: TaskSpec, dropout: float) -> None:
        super().__init__()
        self.spec = spec
        layers: list[nn.Module] = []
        for width in parse_head(spec.head):
            layers += [Dropout(dropout), nn.Linear(dim, width), nn.GELU()]
            dim = width
        self.layers = nn.Sequential(*layers, Dropout(dropout), nn.Linear(dim, spec.outputs))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, vectors_ND: Tensor) -> Tensor:
        outputs = cast(Tensor, self.layers(vectors_ND))
        return outputs * self.spec.spread + self.spec.center if self.spec.kind == "regression" else outputs

    def loss(self, outputs: Tensor, labels: Tensor, options: LossOptions = PLAIN) -> Tensor:
        """Mean loss of N texts (`losses.loss_of`)."""
        return loss_of(self.spec, outputs, labels, options)
