"""The head of ordered classes: one score per text, and thresholds between the classes (McCullagh 1980)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.evaluation.ordinal import LEAST_GAP
from mtlkit.model.heads.base import Affine, Head, HeadLayer
from mtlkit.model.heads.losses import PLAIN, LossOptions, class_loss

NARROW, FAR = 0.1, 3.0  # distance of a new threshold from an old one, within the old classes and beyond them


class OrderedLayer(HeadLayer):
    """Cumulative logits of K classes, (N, K - 1), from vectors (N, D): logit P(class <= k) = threshold_k + weight x.

    All share the `weight`, (1, D). `bias`, (K - 1), holds the first threshold and then the gaps between neighbours, as inverses
    of softplus, so that every step keeps the thresholds in order. In a new layer they give all classes the same probability.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__(dim, 1)
        self.bias = nn.Parameter(torch.empty(classes - 1))

    def reset(self) -> None:
        nn.init.normal_(self.weight, std=0.02)
        classes = len(self.bias) + 1
        with torch.no_grad():
            self._place(torch.logit(torch.arange(1, classes, dtype=torch.float64) / classes))

    def _place(self, thresholds: Tensor) -> None:
        gaps = thresholds.double().diff().clamp_min(1e-12)
        self.bias.copy_(torch.cat([thresholds[:1].double(), gaps + torch.log(-torch.expm1(-gaps))]))

    @property
    def thresholds(self) -> Tensor:
        """(K - 1), ascending."""
        return torch.cat([self.bias[:1], functional.softplus(self.bias[1:])]).cumsum(0)

    def forward(self, vectors_ND: Tensor) -> Tensor:
        return functional.linear(vectors_ND, self.weight) + self.thresholds

    @property
    def affine(self) -> Affine:
        return Affine(self.weight.detach().expand(len(self.bias), -1), self.thresholds.detach())

    def _store(self, affine: Affine) -> None:
        self.weight.copy_(affine.weight[:1].clone())  # it may be this layer's own
        self._place(affine.bias)


class OrderedHead(Head):
    """A head that ends in an `OrderedLayer`."""

    def last_layer(self, dim: int) -> HeadLayer:
        return OrderedLayer(dim, len(self.spec.labels))

    def grown(self, old: Affine, places: Sequence[int]) -> Affine:
        """Old thresholds stay where they are. New classes between old ones begin narrow, those beyond them far away."""
        before = torch.bucketize(torch.arange(len(self.spec.labels) - 1), torch.tensor(places), right=True)  # old classes
        thresholds = torch.cat([old.bias[:1], old.bias, old.bias[-1:]])[before].double()
        steps = torch.zeros_like(thresholds)
        for count in range(len(places) + 1):
            own = (before == count).nonzero().squeeze(1)
            offsets = torch.arange(len(own), dtype=torch.float64)
            if count == 0:
                steps[own] = FAR * (offsets - len(own))
            else:
                steps[own] = FAR * (offsets + 1) if count == len(places) else NARROW * (offsets - (len(own) - 1) / 2)
        bias = (thresholds + steps).cummax(0).values.to(old.bias.dtype)
        return Affine(old.weight[:1].expand(len(bias), -1), bias)


def log_likelihoods(cumulative: Tensor) -> Tensor:
    """The log-probabilities of K classes, (N, K), from cumulative logits, (N, K - 1), as in `evaluation/ordinal.py`."""
    reached, passed = functional.logsigmoid(cumulative), functional.logsigmoid(-cumulative)
    gaps = cumulative.diff(dim=1).clamp_min(LEAST_GAP)
    middle = reached[:, 1:] + passed[:, :-1] + torch.log(-torch.expm1(-gaps))
    return torch.cat([reached[:, :1], middle, passed[:, -1:]], 1)


def cumulative_loss(cumulative: Tensor, classes: Tensor, options: LossOptions = PLAIN) -> Tensor:
    """Mean negative log-likelihood of N texts, from cumulative logits (N, K - 1) and classes (N,)."""
    return class_loss(log_likelihoods(cumulative)[:, None], classes[:, None], options)
