"""Objectives on matching pairs of texts, perhaps with hard negatives: pairs and triplets. They have no head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.config.commands.train_sentence import Distance
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.pair_data import PairTexts
from mtlkit.training.objectives.contrastive import by_column, cosines_of, over_widths, unit


class PairsObjective:
    """Pairs of related texts, with the other texts of the batch as negatives (in-batch negatives: Henderson et al. 2017).

    The loss is the cross-entropy over the cosines of a batch divided by `temperature`, in both directions as in CLIP (Radford et
    al. 2021). From first to second texts, the hard negatives of all pairs of the batch are candidates, too. Texts that belong to
    the pair, or to another pair of the same first text, are not used as its negatives.
    """

    kind, metric, head = "pairs", "accuracy", None
    compares_texts = True

    def __init__(self, train: PairTexts, validation: PairTexts, temperature: float, widths: Sequence[int]) -> None:
        self.train, self.validation, self.temperature, self.widths = train, validation, temperature, widths

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        columns, pairs = by_column(vectors, rows, self.train.columns)
        excluded = self._excluded(self.train, pairs, vectors.device)
        return over_widths(self.widths, lambda width: self._loss([column[:, :width] for column in columns], *excluded))

    @staticmethod
    def _excluded(texts: PairTexts, rows: Rows, device: torch.device) -> tuple[Tensor, Tensor]:
        """Which second texts, (n, n), and which hard negatives, (n, M n), are not negatives of each first text."""
        return torch.from_numpy(texts.same(rows)).to(device), torch.from_numpy(texts.matches(rows)).to(device)

    def _loss(self, columns: Sequence[Tensor], same: Tensor, matching: Tensor) -> Tensor:
        logits = self._logits(columns, same, matching)
        count = len(logits)
        right = torch.arange(count, device=logits.device)
        back = functional.cross_entropy(logits[:, :count].T, right)
        return (functional.cross_entropy(logits, right) + back) / 2

    def _logits(self, columns: Sequence[Tensor], same: Tensor, matching: Tensor) -> Tensor:
        """The cosines of first texts with second texts and hard negatives, divided by the temperature, (n, n + M n); -inf where
        they are no negatives."""
        first, second, *negatives = columns
        logits = (cosines_of(first, second) / self.temperature).masked_fill(same, float("-inf"))
        if not negatives:
            return logits
        hard = (cosines_of(first, torch.cat(negatives)) / self.temperature).masked_fill(matching, float("-inf"))
        return torch.cat([logits, hard], 1)

    def untaught(self, rows: Rows) -> int:
        return int(self.train.alone(rows).sum())

    @torch.no_grad()
    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """The loss, and `accuracy`: how often the nearest second text or hard negative is the partner of a first text, among
        pairs with a negative.
        """
        rows = np.arange(len(self.validation))
        columns = torch.split(vectors, len(rows))
        same, matching = self._excluded(self.validation, rows, vectors.device)
        logits = self._logits(columns, same, matching)
        hits = (logits.argmax(1) == torch.arange(len(rows), device=vectors.device)).cpu().numpy()
        counted = hits[~self.validation.alone(rows)]
        loss = float(self._loss(columns, same, matching))
        if not len(counted):
            reason = f"no two of the {len(rows):,} validation pairs are without a text in common"
            return {"loss": loss, "accuracy": None, "undefined": {"accuracy": reason}}
        return {"loss": loss, "accuracy": float(counted.mean(dtype=np.float32))}


def cosine_distance(left: Tensor, right: Tensor) -> Tensor:
    return 1 - (unit(left) * unit(right)).sum(-1)


def euclidean_distance(left: Tensor, right: Tensor) -> Tensor:
    return functional.pairwise_distance(left.float(), right.float())


def manhattan_distance(left: Tensor, right: Tensor) -> Tensor:
    return (left.float() - right.float()).abs().sum(-1)


DISTANCES: dict[Distance, Callable[[Tensor, Tensor], Tensor]] = {
    "cosine": cosine_distance,
    "euclidean": euclidean_distance,
    "manhattan": manhattan_distance,
}


class TripletsObjective:
    """Triplets of an anchor, a text that matches it and one that does not (Weinberger & Saul 2009; Schroff et al. 2015).

    The loss is max(0, distance(anchor, positive) - distance(anchor, negative) + `margin`), averaged over rows and their
    negatives. Other texts of the batch have no part in it.
    """

    kind, metric, head = "triplets", "accuracy", None
    compares_texts = False

    def __init__(self, train: PairTexts, validation: PairTexts, margin: float, distance: Distance, widths: Sequence[int]) -> None:
        self.train, self.validation, self.margin, self.widths = train, validation, margin, widths
        self.distance = DISTANCES[distance]

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        columns, _ = by_column(vectors, rows, self.train.columns)
        return over_widths(self.widths, lambda width: self._loss(self._gaps([column[:, :width] for column in columns])))

    def _gaps(self, columns: Sequence[Tensor]) -> Tensor:
        """How much farther each negative is than the positive, (M, N)."""
        first, second, *negatives = columns
        near = self.distance(first, second)
        return torch.stack([self.distance(first, negative) - near for negative in negatives])

    def _loss(self, gaps: Tensor) -> Tensor:
        return functional.relu(self.margin - gaps).mean()

    def untaught(self, rows: Rows) -> int:
        return 0

    @torch.no_grad()
    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """The loss, and `accuracy`: how often the positive is nearer than the negative."""
        gaps = self._gaps(torch.split(vectors, len(self.validation)))
        return {"loss": float(self._loss(gaps)), "accuracy": float((gaps > 0).float().mean())}
