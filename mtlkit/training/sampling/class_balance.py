"""What a training does about rare classes and unsure labels, task by task: how rows are drawn, how losses are weighed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import UsageError
from mtlkit.model.losses import LossOptions


def drawn_classes(tasks: Mapping[str, TaskData]) -> dict[str, Rows]:
    """The class of every training row, for `--sampling balanced`. Raises UsageError for a task whose rows have no one class."""
    for name, task in tasks.items():
        if task.spec.kind != "classification":
            why = "a row may have several labels" if task.spec.kind == "multi-label" else "its labels are numbers, not classes"
            raise UsageError(
                f"--sampling balanced: task '{name}' is {task.spec.kind}: {why}; leave the option out, or train '{name}' apart"
            )
    return {name: task.train.labels for name, task in tasks.items()}


def loss_options(
    tasks: Mapping[str, TaskData], *, balanced: bool = False, focal: float = 0.0, smoothing: float = 0.0
) -> dict[str, LossOptions]:
    """What each task's training loss is like. Regression is left as it is beside other tasks; alone, UsageError is raised, as
    nothing that was asked for would be done."""
    asked = {"--class-weights balanced": balanced, "--focal": focal, "--label-smoothing": smoothing}
    with_classes = {name: task for name, task in tasks.items() if task.spec.kind != "regression"}
    if any(asked.values()) and not with_classes:
        option = next(name for name, value in asked.items() if value)
        raise UsageError(f"{option} is for tasks with classes; {', '.join(tasks)}: regression alone; leave it out")
    weights = {name: balanced_weights(task) if balanced else None for name, task in with_classes.items()}
    return {name: LossOptions(weights[name], focal, smoothing) for name in with_classes}


def balanced_weights(task: TaskData) -> tuple[tuple[float, ...], ...]:
    """`class_weights` by which all classes count alike: N / (C N_c), N_c the training texts of class c, C the classes that
    occur (King & Zeng 2001; as scikit-learn's "balanced"). Their mean over the training texts is 1, so that the learning rate
    keeps its meaning. Multi-label: the same of each label's absence and presence, C = 2.

    They are not clipped: what a very rare text can do is bounded by `--clip`.
    """
    labels = task.train.labels
    if task.spec.kind == "multi-label":
        present = (labels > 0).sum(0)
        return tuple(_weights(np.array([len(labels) - count, count])) for count in present)
    return (_weights(np.bincount(labels, minlength=task.spec.outputs)),)


def _weights(counts: NDArray[Any]) -> tuple[float, ...]:
    """A class without a text has weight 1, which nothing uses."""
    found = int((counts > 0).sum())
    return tuple(float(counts.sum() / (found * count)) if count else 1.0 for count in counts)
