"""The router predicts which task a text belongs to, by softmax regression on its vector."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Router(nn.Module):
    """(N, D) -> (N, tasks), one logit per task in the order of `tasks`. No gradient flows to the vectors.

    Vectors are standardised by the training mean and standard deviation (`center` and `spread`, each (D,)), so that the weights
    are of similar size. All weights start as constants: a router draws no random numbers.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, dim: int, tasks: Iterable[str]) -> None:
        super().__init__()
        self.tasks = tuple(tasks)
        self.register_buffer("center", torch.zeros(dim))
        self.register_buffer("spread", torch.ones(dim))
        self.weight = nn.Parameter(torch.zeros(len(self.tasks), dim))
        self.bias = nn.Parameter(torch.zeros(len(self.tasks)))

    def forward(self, vectors_ND: Tensor) -> Tensor:
        return functional.linear((vectors_ND.detach().float() - self.center) / self.spread, self.weight, self.bias)
