"""Which heads answer a text, where a router tells the tasks apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtlkit.evaluation.metrics import check_finite, classification, confusion
from mtlkit.inference.engine import ROUTER, Array, output_of
from mtlkit.inference.predictions import softmax

FITTING = 0.2  # a head answers where the router finds its task at least so likely; that of the likeliest always does


class Prediction(dict[str, dict[str, Any]]):
    """What heads say of a text: task -> answer. `router` is how likely the text belongs to each task; empty where no router
    was asked."""

    def __init__(self, answers: Mapping[str, dict[str, Any]], router: Mapping[str, float] | None = None) -> None:
        super().__init__(answers)
        self.router = dict(router or {})


def likelihoods(tasks: Sequence[str], logits: Array) -> list[dict[str, float]]:
    """How likely each text belongs to each task, from a router's logits (N, tasks)."""
    rows: list[list[float]] = softmax(logits).tolist()
    return [dict(zip(tasks, row, strict=True)) for row in rows]


def fits(task: str, router: Mapping[str, float]) -> bool:
    """Whether the head of a task answers. One that the router never learned of always does."""
    return router.get(task, 1.0) >= min(FITTING, max(router.values(), default=0.0))


def score_router(tasks: Sequence[str], logits: Array, true: Array) -> dict[str, Any]:
    """The metrics of a classification, for texts whose task `true` (N,) is known by its place among `tasks`.

    `balanced_accuracy`, the mean over the tasks that have texts of the share that is recognised, counts each task alike.
    """
    check_finite(logits, output_of(ROUTER))
    found = classification(tuple(tasks), confusion(len(tasks), true, logits.argmax(1)))
    recalls = [row["recall"] for row in found["per_class"].values() if row["support"]]
    return {"kind": "classification", "n": len(true), "balanced_accuracy": sum(recalls) / len(recalls), **found}
