"""Objectives on the vectors themselves, without a head: distillation, similarity; `pairs.py` has those on matching pairs.

The loss of each is the mean over `widths`: the lengths to which vectors may be truncated later, including the full length
(Matryoshka representation learning, Kusupati et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mtlkit.config.commands.train_sentence import DistillLoss
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.pair_data import PairTexts, TargetTexts
from mtlkit.evaluation.metrics import correlations, rounded

MATRIX_TEXTS = 1000  # validation texts whose cosines are compared with the teacher's


def unit(vectors: Tensor) -> Tensor:
    """Vectors, (..., D), normalised to length 1, in fp32."""
    return functional.normalize(vectors.float(), dim=-1)


def cosines_of(left: Tensor, right: Tensor) -> Tensor:
    """Cosine similarity of each vector of `left`, (M, D), with each of `right`, (N, D): (M, N). Always in fp32: at a
    temperature of 0.05, the third digit of a cosine matters.
    """
    with torch.autocast(left.device.type, enabled=False):
        return unit(left) @ unit(right).T


def over_widths(widths: Sequence[int], loss: Callable[[int], Tensor]) -> Tensor:
    """The mean of `loss` over the vector lengths."""
    return torch.stack([loss(width) for width in widths]).mean()


class DistillObjective:
    """Distillation: learns the vectors of a teacher.

    The loss `vector` is 1 - cos(student, teacher), half the squared distance of the normalised vectors. `matrix` is the mean
    squared difference between the student's and the teacher's cosines of all pairs in a batch. `both` is `vector` +
    MATRIX_WEIGHT * `matrix`.
    """

    kind, metric, head = "distill", "spearman", None
    MATRIX_WEIGHT = 10.0  # scales the squared differences, of order 0.01, to the size of the other loss

    def __init__(self, train: TargetTexts, validation: TargetTexts, loss: DistillLoss, widths: Sequence[int]) -> None:
        self.train, self.validation, self.by, self.widths = train, validation, loss, widths
        self.compares_texts = loss != "vector"

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        return self._loss(vectors, torch.from_numpy(self.train.targets[rows]).to(vectors.device))

    def _loss(self, vectors: Tensor, targets: Tensor) -> Tensor:
        def at(width: int) -> Tensor:
            ours, theirs = vectors[:, :width], targets[:, :width]
            loss = vectors.new_zeros((), dtype=torch.float32)
            if self.by != "matrix":
                loss = loss + (1 - (unit(ours) * unit(theirs)).sum(-1)).mean()
            if self.by != "vector":
                loss = loss + self.MATRIX_WEIGHT * functional.mse_loss(cosines_of(ours, ours), cosines_of(theirs, theirs))
            return loss

        return over_widths(self.widths, at)

    def untaught(self, rows: Rows) -> int:
        return 0

    @torch.no_grad()
    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """The loss, and `spearman`: the correlation of student's and teacher's cosines of all pairs of up to MATRIX_TEXTS
        texts.
        """
        targets = torch.from_numpy(self.validation.targets).to(vectors.device)
        parts = list(zip(torch.split(vectors, MATRIX_TEXTS), torch.split(targets, MATRIX_TEXTS), strict=True))
        above = np.triu_indices(len(parts[0][0]), 1)
        ours, theirs = (cosines_of(side, side).cpu().numpy()[above] for side in parts[0])
        loss = sum(float(self._loss(*part)) * len(part[0]) for part in parts) / len(vectors)
        metrics = correlations(rounded(ours), theirs, "cosines", "cosines of the teacher")
        undefined = {"undefined": {"spearman": metrics["undefined"]["spearman"]}} if "undefined" in metrics else {}
        return {"loss": loss, "spearman": metrics["spearman"], **undefined}


class SimilarityObjective:
    """Similarity scores of text pairs, predicted by the cosine of their vectors.

    The loss is CoSENT (Su 2022): log(1 + sum_ij exp(SCALE * (cos_i - cos_j))) over all pairs i, j of a batch such that j has the
    higher score. Only the order of scores matters, not their range.
    """

    kind, metric, head = "similarity", "spearman", None
    compares_texts = True
    SCALE = 20.0

    def __init__(self, train: PairTexts, validation: PairTexts, widths: Sequence[int]) -> None:
        self.train, self.validation, self.widths = train, validation, widths

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        first, second, pairs = halves(vectors, rows)
        scores = torch.from_numpy(self.train.scores[pairs]).to(vectors.device)
        return over_widths(self.widths, lambda width: self._loss(first[:, :width], second[:, :width], scores))

    def _loss(self, first: Tensor, second: Tensor, scores: Tensor) -> Tensor:
        cosines = self.SCALE * (unit(first) * unit(second)).sum(-1)
        wrong = (cosines[:, None] - cosines[None, :])[scores[:, None] < scores[None, :]]
        return torch.cat([wrong.new_zeros(1), wrong]).logsumexp(0)

    def untaught(self, rows: Rows) -> int:
        return 0 if np.ptp(self.train.scores[rows]) else len(rows)

    @torch.no_grad()
    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """The loss, and Pearson's and Spearman's correlation of cosines and scores."""
        count, scores = len(self.validation), self.validation.scores
        first, second = vectors[:count], vectors[count:]
        cosines = rounded((unit(first) * unit(second)).sum(-1).cpu().numpy())
        loss = self._loss(first, second, torch.from_numpy(scores).to(vectors.device))
        return {"loss": float(loss), **correlations(cosines, scores, "cosines", "scores")}


def halves(vectors: Tensor, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor, Rows]:
    """Splits the vectors of a batch, (2 * N, D), with their text numbers `rows`: the vectors of the first texts, (N, D), those of
    the second texts, and the pair numbers, (N,), all in the same order.
    """
    (first, second), pairs = by_column(vectors, rows, 2)
    return first, second, pairs


def by_column(vectors: Tensor, rows: NDArray[np.int64], columns: int) -> tuple[Sequence[Tensor], Rows]:
    """Splits the vectors of a batch, (columns * N, D), with their text numbers `rows`: the vectors of each column of texts,
    (N, D), and the row numbers of the data, (N,), all in the same order.
    """
    order = np.argsort(rows)  # all texts of a column come before those of the next
    count = len(rows) // columns
    return torch.split(vectors[torch.from_numpy(order).to(vectors.device)], count), rows[order[:count]]
