"""How the hidden states of a text become its vector: the modes of pooling, and dense layers after it. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlkit.errors import UsageError, listed, shorten, suggest

Pooling = str  # one of the modes, or several joined by "+": their vectors one after another

# mean_sqrt_len: the sum divided by the square root of the length; mean_by_position: a mean in which the k-th token counts k times
MODES = ("mean", "first", "last", "max", "mean_sqrt_len", "mean_by_position")
WEIGHTED = "weighted"  # a mean with a learned weight for each entry of the vocabulary; only alone
MOST = 16  # modes or dense layers: more than any model has
LARGEST = 2**31 - 1  # upper limit of every size
DenseActivation = Literal["none", "tanh", "relu", "gelu", "silu", "sigmoid"]


@dataclass(frozen=True)
class DenseShape:
    """A linear layer on the vector of a text: the width of its output, the activation after it, and whether it has a bias. With
    `norm`, a LayerNorm of this width in its place."""

    width: int
    activation: DenseActivation = "tanh"
    bias: bool = True
    norm: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.width <= LARGEST:
            raise UsageError(f"a dense layer of width {shorten(str(self.width), 20)} is out of range; use 1 to {LARGEST:,}")


def pooling_modes(pooling: Pooling) -> tuple[str, ...]:
    """The modes whose vectors are concatenated. Raises UsageError for unknown ones."""
    if pooling == WEIGHTED:
        return (pooling,)
    modes = tuple(pooling.split("+"))
    for mode in modes:
        if mode not in MODES:
            known = (*MODES, WEIGHTED)
            raise UsageError(f"pooling {shorten(pooling)!r} is not known; modes: {listed(known, 9)}{suggest(mode, known)}")
    if len(modes) > MOST:
        raise UsageError(f"pooling of {len(modes):,} modes; use at most {MOST}")
    return modes
