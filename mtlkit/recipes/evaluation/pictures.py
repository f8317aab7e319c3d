"""Writes the pictures of `eval`: confusion matrices and reliability diagrams."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import UsageError, listed
from mtlkit.evaluation.reliability import Reliability
from mtlkit.recipes.evaluation.output_file import write_output
from mtlkit.report.evaluation.confusion_plot import Matrix

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
    if find_spec("matplotlib") is None:
        raise UsageError(f"--output {path} needs matplotlib; install it with: pip install 'mtlkit[pictures]'")


def draw_reliability(options: EvalOptions, tasks: Mapping[str, Reliability]) -> None:
    """Draws a reliability diagram per task. Raises UsageError if no task has probabilities, SavingError."""
    from mtlkit.report.evaluation.calibration_plot import reliability_picture

    assert options.output is not None
    if not tasks:
        raise UsageError(f"--output {options.output}: nothing to draw, as no task has probabilities")
    write_output(options, reliability_picture(tasks, _format(options.output)))


def draw_confusion(options: EvalOptions, matrices: Mapping[str, Matrix]) -> None:
    """Draws the confusion matrix of each task. Raises UsageError if no task has one, SavingError."""
    from mtlkit.report.evaluation.confusion_plot import confusion_picture

    assert options.output is not None
    if not matrices:
        raise UsageError(f"--output {options.output}: nothing to draw, as no task has a confusion matrix")
    write_output(options, confusion_picture(matrices, _format(options.output)))


def _format(path: Path) -> str:
    return path.suffix.lower().removeprefix(".")
