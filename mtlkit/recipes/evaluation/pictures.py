"""Writes the pictures of `eval`: confusion matrices and reliability diagrams."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import UsageError, listed
from mtlkit.evaluation.reliability import Reliability
from mtlkit.recipes.evaluation.output_file import write_output
from mtlkit.recipes.inputs.picture_files import check_matplotlib, picture_format
from mtlkit.report.evaluation.confusion_plot import Matrix

Drawn = TypeVar("Drawn")  # what a picture shows of a task
PICTURES = (".png", ".svg", ".pdf")


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES


def check_picture(options: EvalOptions) -> None:
    """Raises UsageError unless `--output` is a picture that can be drawn."""
    path = options.output
    assert path is not None
    if not options.calibration and not options.confusion:
        raise UsageError(f"--output {path} is for confusion matrices or reliability diagrams; add --confusion or --calibration")
    if options.calibration and options.confusion:
        raise UsageError(f"--output {path}: a picture shows --confusion or --calibration; remove one of them")
    if not is_picture(path):
        raise UsageError(f"--output {path}: suffix {path.suffix!r} is not one of {listed(PICTURES)}")
    check_matplotlib(f"--output {path} needs matplotlib")


def draw_reliability(options: EvalOptions, tasks: Mapping[str, Reliability]) -> None:
    """Draws a reliability diagram per task. Raises UsageError if no task has probabilities, SavingError."""
    from mtlkit.report.evaluation.calibration_plot import reliability_picture

    _draw(options, tasks, "probabilities", reliability_picture)


def draw_confusion(options: EvalOptions, matrices: Mapping[str, Matrix]) -> None:
    """Draws the confusion matrix of each task. Raises UsageError if no task has one, SavingError."""
    from mtlkit.report.evaluation.confusion_plot import confusion_picture

    _draw(options, matrices, "a confusion matrix", confusion_picture)


def _draw(
    options: EvalOptions, tasks: Mapping[str, Drawn], what: str, picture: Callable[[Mapping[str, Drawn], str], bytes]
) -> None:
    path = options.output
    assert path is not None
    if not tasks:
        raise UsageError(f"--output {path}: nothing to draw, as no task has {what}")
    write_output(options, picture(tasks, picture_format(path)))
