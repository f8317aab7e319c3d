"""Which task a text belongs to: softmax regression on its vector."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


class Router(nn.Module):
    """(N, D) -> (N, tasks), a logit a task in the order of `tasks`. No gradient goes down to the vectors.

    Vectors are brought to the mean and the spread that they had when it learned (`center` and `spread`, each (D,)), so that its
    weights are of like size. All begin as constants: a router draws no random numbers.
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
