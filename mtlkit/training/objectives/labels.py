"""Contrast by labels: texts with the same label get similar vectors, texts with different labels different ones."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.config.architecture import PairInput
from mtlkit.config.commands.train_sentence import BATCH_SIZES
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.task_data import LabelledTexts, TaskData
from mtlkit.errors import DataError, UsageError
from mtlkit.tasks.base import kind_of
from mtlkit.training.objectives.contrastive import cosines_of, over_widths
from mtlkit.training.sampling.label_batches import LabelSampler
from mtlkit.training.validation.best_weights import FEW

COMPARED = 2000  # validation texts that are compared with each other at once


class LabelsObjective:
    """Supervised contrastive learning (Khosla et al. 2020, their loss L_out).

    For each text with a positive, another text of the batch that has a label in common: the mean over its positives of the
    cross-entropy of choosing the positive among all other texts, by cosine divided by `temperature`. Labels are an array of
    classes, (N,), or of 0 and 1 for several labels per text, (N, labels).
    """

    kind, metric, head = "labels", "accuracy", None
    compares_texts = True

    def __init__(
        self,
        train: LabelledTexts,
        validation: LabelledTexts,
        temperature: float,
        widths: Sequence[int],
        batch_texts: int,
        max_pairs: int = 0,
    ) -> None:
        self.train, self.validation, self.temperature, self.widths = train, validation, temperature, widths
        self.batch_texts, self.max_pairs = batch_texts, max_pairs

    def sampler(self, name: str, budget: int, seed: int) -> LabelSampler:
        """Batches of `batch_texts` texts (0: no limit), fewer if those had more than `budget` tokens on average."""
        fitting = max(2, int(budget / self.train.lengths.mean()))
        size = min(self.batch_texts or fitting, fitting)
        return LabelSampler(self.train.lengths, size, seed, name, rows_of_labels(self.train.labels), self.max_pairs)

    def loss(self, vectors: Tensor, rows: Rows) -> Tensor:
        same = torch.from_numpy(positives(self.train.labels[rows])).to(vectors.device)
        if not same.any():
            return vectors.float().sum() * 0
        return over_widths(self.widths, lambda width: self._loss(vectors[:, :width], same))

    def _loss(self, vectors: Tensor, same: Tensor) -> Tensor:
        logits = (cosines_of(vectors, vectors) / self.temperature).fill_diagonal_(float("-inf"))
        log_shares = logits - logits.logsumexp(1, keepdim=True)
        counts = same.sum(1)
        return -(log_shares.masked_fill(~same, 0).sum(1)[counts > 0] / counts[counts > 0]).mean()

    def untaught(self, rows: Rows) -> int:
        """Texts without a positive, or without a negative, in their batch."""
        same = positives(self.train.labels[rows])
        counts = same.sum(1)
        return int(((counts == 0) | (counts == len(rows) - 1)).sum())

    @torch.no_grad()
    def evaluate(self, vectors: Tensor) -> dict[str, Any]:
        """The loss, and `accuracy`: how often the nearest other validation text has a label in common, among texts for which
        there is such a text.
        """
        loss, hits, counted = 0.0, 0, 0
        step = ceil(len(vectors) / COMPARED)
        for first in range(step):
            part = vectors[first::step]
            same = torch.from_numpy(positives(self.validation.labels[first::step])).to(vectors.device)
            if not same.any():
                continue
            with_positive = same.any(1)
            nearest = cosines_of(part, part).fill_diagonal_(float("-inf")).argmax(1)
            hits += int(same[torch.arange(len(part), device=part.device), nearest].sum())
            texts = int(with_positive.sum())
            loss, counted = loss + float(self._loss(part, same)) * texts, counted + texts
        if not counted:
            reason = f"no two of the {len(vectors):,} validation texts have the same label"
            return {"loss": 0.0, "accuracy": None, **({} if len(vectors) < FEW else {"undefined": {"accuracy": reason}})}
        return {"loss": loss / counted, "accuracy": hits / counted}


def labels_objective(
    task: TaskData,
    temperature: float,
    widths: Sequence[int],
    max_pairs: int,
    option: str = "--objective labels",
    batch_texts: int = BATCH_SIZES["labels"],
) -> LabelsObjective:
    """The objective of a task; `option` asks for it. Raises UsageError if its labels are not classes, DataError if none has two
    texts.
    """
    spec, train = task.spec, task.train
    check_single_texts(task.name, spec.pair, option, words=spec.tags is not None)
    if kind_of(spec.kind).classes == "none":
        raise UsageError(
            f"{option} compares texts by their classes, and the labels of task '{task.name}' are {spec.kind}; omit "
            "it, or specify ?kind=classification"
        )
    if max(map(len, rows_of_labels(train.labels))) < 2:
        raise DataError(
            f"task '{task.name}': each of the {len(train):,} texts to train on has a label of its own, so none has a text to be "
            "close to; give several texts per label"
        )
    return LabelsObjective(train, task.validation, temperature, widths, batch_texts, max_pairs)


def check_single_texts(task: str, pair: PairInput | None, option: str, *, words: bool) -> None:
    """Raises UsageError for a task of text pairs, which have no vector of their own that could be compared, and for one that
    labels `words`; `option` asks for the comparison."""
    if words:
        raise UsageError(f"{option} compares texts by their classes, and task '{task}' labels words; omit it")
    if pair is not None:
        raise UsageError(f"{option} compares the vectors of single texts, and rows of task '{task}' are pairs; omit it")


def positives(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """(N, N): whether two different texts have a label in common."""
    same: NDArray[np.bool_] = labels[:, None] == labels if labels.ndim == 1 else labels @ labels.T > 0
    np.fill_diagonal(same, False)
    return same


def rows_of_labels(labels: NDArray[Any]) -> list[Rows]:
    """The rows of each label that occurs. Rows without any label are a group of their own, as they are negatives of all."""
    if labels.ndim == 1:
        return [np.flatnonzero(labels == label) for label in np.unique(labels)]
    groups = [np.flatnonzero(column > 0.5) for column in [*labels.T, 1 - labels.max(1)]]
    return [rows for rows in groups if len(rows)]
