"""Chooses the heads that predict for a text from the probabilities of the router."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtlkit.evaluation.class_figures import classification_figures
from mtlkit.evaluation.figures import with_intervals
from mtlkit.evaluation.metrics import check_finite, classification, confusion
from mtlkit.inference.engines.base import ROUTER, Array, output_label
from mtlkit.inference.predictions import softmax
from mtlkit.seeding import generator

MIN_PROBABILITY = 0.2  # a head predicts if the router gives its task at least this; the most probable always does


class Prediction(dict[str, dict[str, Any]]):
    """The predictions of heads for a text, by task. `router` has the probability of each task; empty if no router was used."""

    def __init__(self, answers: Mapping[str, dict[str, Any]], router: Mapping[str, float] | None = None) -> None:
        super().__init__(answers)
        self.router = dict(router or {})


def task_probabilities(tasks: Sequence[str], logits: Array) -> list[dict[str, float]]:
    """How likely each text belongs to each task, from a router's logits (N, tasks)."""
    rows: list[list[float]] = softmax(logits).tolist()
    return [dict(zip(tasks, row, strict=True)) for row in rows]


def is_answered(task: str, router: Mapping[str, float]) -> bool:
    """Whether the head of a task predicts; always for a task that the router was not trained on."""
    return router.get(task, 1.0) >= min(MIN_PROBABILITY, max(router.values(), default=0.0))


def score_router(tasks: Sequence[str], logits: Array, true: Array, seed: int = 0) -> dict[str, Any]:
    """The classification metrics of a router's logits (N, tasks), where `true` (N,) has the index of each text's task.

    `balanced_accuracy` is the mean recall over the tasks that have texts. Metrics are followed by their 95 % intervals, as
    `estimate` returns them.
    """
    check_finite(logits, output_label(ROUTER))
    predicted = logits.argmax(1)
    found = classification(tuple(tasks), confusion(len(tasks), true, predicted))
    recalls = [row["recall"] for row in found["per_class"].values() if row["support"]]
    document = {"kind": "classification", "n": len(true), "balanced_accuracy": sum(recalls) / len(recalls), **found}
    figures = classification_figures(tuple(tasks), true, predicted, softmax(logits.astype(np.float64)))
    return with_intervals(document, figures, generator(seed, "eval", ROUTER))
