"""Initialises an encoder as a table of word vectors: the teacher's vector of each single token, weighted by its rarity."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtlkit.model.encoder import Encoder
from mtlkit.model.layers.block import Block

RARITY = 1e-3  # `a` of Arora et al. 2017


def rarity_weights(ids: NDArray[np.unsignedinteger], vocab_size: int, a: float = RARITY) -> Tensor:
    """a / (a + p) for each token, with p its relative frequency in `ids`: (vocab_size,) (smooth inverse frequency: Arora, Liang
    & Ma 2017).
    """
    counts = torch.from_numpy(np.bincount(ids, minlength=vocab_size))
    return a / (a + counts / max(1, len(ids)))


@torch.no_grad()
def start_from_tokens(encoder: Encoder, vectors: NDArray[np.floating], weights: Tensor) -> None:
    """Sets the token embeddings to `vectors`, (vocab_size, D), scaled to length sqrt(D), and the pooling weights to `weights`,
    (vocab_size,).

    Position embeddings and all projections that write to the residual stream are set to zero. So every block starts as the
    identity, and the encoder as a weighted mean of token vectors. Requires the pooling `weighted`.
    """
    table = nn.functional.normalize(torch.from_numpy(vectors.astype(np.float32)), dim=-1)
    encoder.tokens.weight.copy_(table * encoder.architecture.dim**0.5)
    encoder.positions.weight.zero_()
    encoder.token_weights.copy_(weights.log())
    for block in encoder.blocks:
        assert isinstance(block, Block)
        for projection in (block.attention.out, block.contract):
            projection.weight.zero_()
            projection.bias.zero_()
