"""What a head reads: the vector of a text, or a combination of the vectors of both texts of a pair."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def head_inputs(vectors_MD: Tensor, pairs: NDArray[np.int64] | None) -> Tensor:
    """The inputs of a head from the vectors of M texts: the vectors themselves, (M, D), or for N pairs of texts u and v, with
    `pairs`, (2, N), their numbers among the M texts, [u, v, |u - v|, u * v], (N, 4 D) (Conneau et al. 2017)."""
    if pairs is None:
        return vectors_MD
    first_N, second_N = (torch.from_numpy(side).to(vectors_MD.device) for side in pairs)
    return joined(vectors_MD[first_N], vectors_MD[second_N])


def joined(first_ND: Tensor, second_ND: Tensor) -> Tensor:
    """[u, v, |u - v|, u * v] of N pairs of vectors, (N, 4 D)."""
    return torch.cat([first_ND, second_ND, (first_ND - second_ND).abs(), first_ND * second_ND], -1)
