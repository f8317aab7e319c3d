"""What the attention of a layer needs to know besides its queries, keys and values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AttentionSettings:
    """How the tokens of a text attend to each other in a layer, whatever the layout of the batch.

    heads   number of attention heads
    causal  each token attends only to itself and earlier ones
    """

    heads: int
    causal: bool = False
