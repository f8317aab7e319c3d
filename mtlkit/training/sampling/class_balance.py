"""Options for rare classes and noisy labels: `--sampling`, `--class-weights`, `--focal`, `--label-smoothing`."""

from __future__ import annotations

from collections.abc import Mapping

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.errors import UsageError
from mtlkit.model.heads.losses import LossOptions
from mtlkit.tasks.base import ClassWeights, kind_of
from mtlkit.training.plan import Options

NOT_DRAWN = {
    "several": "a row may have several labels",
    "words": "a row has a label for each word",
    "none": "its labels are numbers, not classes",
}


def drawn_classes(tasks: Mapping[str, TaskData]) -> dict[str, Rows]:
    """The class of every training row of each task, (N,), for `--sampling balanced`. Raises UsageError if a task does not have
    one class per row.
    """
    for name, task in tasks.items():
        if (classes := kind_of(task.spec.kind).classes) != "one":
            why = NOT_DRAWN[classes]
            raise UsageError(
                f"--sampling balanced: task '{name}' is {task.spec.kind}: {why}; omit the option, or train '{name}' separately"
            )
    return {name: task.train.labels for name, task in tasks.items()}


def loss_options(
    tasks: Mapping[str, TaskData], *, balanced: bool = False, focal: float = 0.0, smoothing: float = 0.0
) -> dict[str, LossOptions]:
    """The loss options of each task with classes; other tasks have the plain loss. Raises UsageError if an option is set and no
    task has classes.
    """
    options = {"--class-weights balanced": balanced, "--focal": focal, "--label-smoothing": smoothing}
    with_classes = {name: task for name, task in tasks.items() if kind_of(task.spec.kind).classes != "none"}
    if any(options.values()) and not with_classes:
        option = next(name for name, value in options.items() if value)
        kinds = ", ".join(f"{name} ({task.spec.kind})" for name, task in tasks.items())
        raise UsageError(f"{option} is for tasks with classes, and there are only {kinds}; omit it")
    if any(options.values()) and (crf := next((name for name, task in with_classes.items() if task.spec.transitions), None)):
        option = next(name for name, value in options.items() if value)
        raise UsageError(
            f"{option} changes the loss of single tags, and '{crf}' learns transitions between them; omit one of them"
        )
    weights = {name: class_weights(task) if balanced else None for name, task in with_classes.items()}
    return {name: LossOptions(weights[name], focal, smoothing) for name in with_classes}


def options_of_losses(tasks: Mapping[str, TaskData], options: Options) -> dict[str, LossOptions]:
    """The loss options of each task that the options of a training ask for. Raises UsageError."""
    balanced = options.class_weights == "balanced"
    return loss_options(tasks, balanced=balanced, focal=options.focal, smoothing=options.label_smoothing)


def class_weights(task: TaskData) -> ClassWeights | None:
    """Weights that give all classes the same total weight over the training rows of a task (`LossOptions.class_weights`). They
    are not limited, as gradient clipping limits the effect of very rare classes.
    """
    return kind_of(task.spec.kind).class_weights(task.spec, task.train.labels)
