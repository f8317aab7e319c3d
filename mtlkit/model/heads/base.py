"""Heads: compute a task's output from the sentence vector, and its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtlkit.config.architecture import Kind, TaskSpec, head_activation, parse_head
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.model.heads.losses import PLAIN, LossOptions
from mtlkit.model.randomness import Dropout

ACTIVATIONS: dict[str, type[nn.Module]] = {"gelu": nn.GELU, "tanh": nn.Tanh, "relu": nn.ReLU}


class HeadKind(Protocol):
    """The head and the loss of one kind of task."""

    def build_head(self, spec: TaskSpec, dim: int, dropout: float) -> Head:
        """A new head for vectors of length `dim`."""
        ...

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        """Mean loss over N texts, from outputs (N, outputs) in fp32 and labels encoded by `encode_labels`."""
        ...


class Affine(NamedTuple):
    """Outputs are inputs @ weight.T + bias. weight: (outputs, D); bias: (outputs)."""

    weight: Tensor
    bias: Tensor


class HeadLayer(nn.Linear):
    """A linear layer of a head. Subclasses may store it in another form than `affine`, the one that all libraries have."""

    def reset(self) -> None:
        """Initialises the layer, in place."""
        nn.init.normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)

    @property
    def affine(self) -> Affine:
        return Affine(self.weight.detach(), self.bias.detach())

    def set_affine(self, affine: Affine) -> None:
        """Gives the layer these weights, in place. Raises ValueError if their shapes differ."""
        self.check_shape(affine)
        with torch.no_grad():
            self._store(affine)

    def check_shape(self, affine: Affine) -> None:
        """Raises ValueError if weights do not fit the layer."""
        if [part.shape for part in affine] != [part.shape for part in self.affine]:
            raise ValueError(f"a layer of shape {tuple(affine.weight.shape)}, not {tuple(self.affine.weight.shape)}")

    def _store(self, affine: Affine) -> None:
        self.weight.copy_(affine.weight)
        self.bias.copy_(affine.bias)


class Head(nn.Module):
    """Linear layers: (N, D) -> (N, outputs). The kind of task determines the loss and what the outputs mean."""

    def __init__(self, dim: int, spec: TaskSpec, dropout: float) -> None:
        super().__init__()
        self.spec = spec
        layers: list[nn.Module] = []
        for width in parse_head(spec.head):
            layers += [Dropout(dropout), HeadLayer(dim, width), ACTIVATIONS[head_activation(spec.head)]()]
            dim = width
        self.layers = nn.Sequential(*layers, Dropout(dropout), self.last_layer(dim))
        for layer in self.linear_layers():
            layer.reset()

    def last_layer(self, dim: int) -> HeadLayer:
        """The layer that gives the outputs, from `dim` numbers."""
        return HeadLayer(dim, self.spec.outputs)

    @torch.no_grad()
    def grow_from(self, old: Head) -> None:
        """Takes the layers of a head that lacks some of the classes. A new class begins as the mean of the old ones, so that it
        is the likeliest one for no text."""
        layers, before = self.linear_layers(), old.linear_layers()
        for layer, other in zip(layers[:-1], before[:-1], strict=True):
            layer.set_affine(other.affine)
        places = [self.spec.labels.index(label) for label in old.spec.labels]
        layers[-1].set_affine(self.grown(before[-1].affine, places))

    def grown(self, old: Affine, places: Sequence[int]) -> Affine:
        """The last layer, of which the outputs at these places are the old ones."""
        weight, bias = (part.mean(0, keepdim=True).repeat(self.spec.outputs, *[1] * (part.dim() - 1)) for part in old)
        weight[places], bias[places] = old
        return Affine(weight, bias)

    def linear_layers(self) -> list[HeadLayer]:
        """The linear layers, the last of which gives the outputs."""
        return [layer for layer in self.layers if isinstance(layer, HeadLayer)]

    def forward(self, vectors_ND: Tensor) -> Tensor:
        outputs = cast(Tensor, self.layers(vectors_ND))
        outputs = outputs.sigmoid() if self.spec.sigmoid else outputs
        center, spread = self.spec.center, self.spec.spread
        return outputs if (center, spread) == (0.0, 1.0) else outputs * spread + center

    def of_texts(self, outputs: NDArray[np.float32], begins: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The outputs for all words of whole texts, (W, outputs), from those of each word alone. begins: whether a word is the
        first of its text, (W,)."""
        return outputs

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
