"""Which heads answer a text, where a router tells the tasks apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation.metrics import score
from mtlkit.inference.engine import Array
from mtlkit.inference.predictions import probabilities

FITTING = 0.2  # a head answers where the router finds its task at least so likely; that of the likeliest always does


class Prediction(dict[str, dict[str, Any]]):
    """What heads say of a text: task -> answer. `router` is how likely the text belongs to each task; empty where no router
    was asked."""

    def __init__(self, answers: Mapping[str, dict[str, Any]], router: Mapping[str, float] | None = None) -> None:
        super().__init__(answers)
        self.router = dict(router or {})


def router_spec(tasks: Sequence[str]) -> TaskSpec:
    """A router as the classification that it is."""
    return TaskSpec("router", "classification", tuple(tasks))


def likelihoods(tasks: Sequence[str], logits: Array) -> list[dict[str, float]]:
    """How likely each text belongs to each task, from a router's logits (N, tasks)."""
    rows: list[list[float]] = probabilities(router_spec(tasks), logits).tolist()
    return [dict(zip(tasks, row, strict=True)) for row in rows]


def fits(task: str, router: Mapping[str, float]) -> bool:
    """Whether the head of a task answers. One that the router never learned of always does."""
    return router.get(task, 1.0) >= min(FITTING, max(router.values(), default=0.0))


def score_router(tasks: Sequence[str], logits: Array, true: Array) -> dict[str, Any]:
    """The metrics of a classification, for texts whose task `true` (N,) is known by its place among `tasks`.

    `balanced_accuracy`, the mean over the tasks that have texts of the share that is recognised, counts each task alike.
    """
    found = score(router_spec(tasks), logits, true)
    recalls = [row["recall"] for row in found["per_class"].values() if row["support"]]
    start = {key: found[key] for key in ("kind", "n")}
    return start | {"balanced_accuracy": sum(recalls) / len(recalls)} | found
