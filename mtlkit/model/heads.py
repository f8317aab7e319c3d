"""Heads: from the sentence vector to a task's output, and the loss of each kind of task."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from mtlkit.config.architecture import TaskSpec, parse_head


class Head(nn.Module):
    """Linear layers over the vector: (N, D) -> (N, outputs). Its kind decides the loss and what the output means."""

    def __init__(self, dim: int, spec: TaskSpec, dropout: float) -> None:
        super().__init__()
        self.spec = spec
        layers: list[nn.Module] = []
        for width in parse_head(spec.head):
            layers += [nn.Dropout(dropout), nn.Linear(dim, width), nn.GELU()]
            dim = width
        self.layers = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(dim, spec.outputs))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, vectors_ND: Tensor) -> Tensor:
        outputs = cast(Tensor, self.layers(vectors_ND))
        return outputs * self.spec.spread + self.spec.center if self.spec.kind == "regression" else outputs

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Mean loss of N texts.

        classification: cross-entropy, labels (N,) class numbers. multi-label: binary cross-entropy, labels (N, outputs)
        of 0 and 1. regression: squared error in units of the training labels' spread, labels (N,).
        """
        outputs = outputs.float()
        if self.spec.kind == "classification":
            return functional.cross_entropy(outputs, labels)
        if self.spec.kind == "multi-label":
            return functional.binary_cross_entropy_with_logits(outputs, labels.float())
        return functional.mse_loss(outputs.squeeze(-1) / self.spec.spread, labels.float() / self.spec.spread)
