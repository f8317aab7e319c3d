"""Heads: compute a task's output from the sentence vector, and its loss."""

from __future__ import annotations

from typing import Protocol, cast

from torch import Tensor, nn

from mtlkit.config.architecture import Kind, TaskSpec, parse_head
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.model.losses import PLAIN, LossOptions
from mtlkit.model.randomness import Dropout


class HeadKind(Protocol):
    """The head and the loss of one kind of task."""

    def build_head(self, spec: TaskSpec, dim: int, dropout: float) -> Head:
        """A new head for vectors of length `dim`."""
        ...

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        """Mean loss over N texts, from outputs (N, outputs) in fp32 and labels encoded by `encode_labels`."""
        ...


class Head(nn.Module):
    """Linear layers: (N, D) -> (N, outputs). The kind of task determines the loss and what the outputs mean."""

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
        center, spread = self.spec.center, self.spec.spread
        return outputs if (center, spread) == (0.0, 1.0) else outputs * spread + center

    def loss(self, outputs: Tensor, labels: Tensor, options: LossOptions = PLAIN) -> Tensor:
        """Mean loss over N texts, from outputs (N, outputs) and labels encoded by `encode_labels`."""
        return loss_of(self.spec, outputs, labels, options)


def loss_of(spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """Mean loss of a task over N texts, from outputs (N, outputs) and labels encoded by `encode_labels`."""
    return kind_of_head(spec.kind).loss(spec, outputs.float(), labels, options)


def kind_of_head(kind: Kind) -> HeadKind:
    """The registered `HeadKind` for a kind of task."""
    return cast(HeadKind, KINDS[kind])


def build_head(spec: TaskSpec, dim: int, dropout: float) -> Head:
    """A new head for a task, for vectors of length `dim`."""
    return kind_of_head(spec.kind).build_head(spec, dim, dropout)
