"""Writes the reliability diagram of `eval --calibration`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import UsageError, listed
from mtlkit.evaluation.reliability import Reliability
from mtlkit.recipes.evaluation.output_file import write_output

PICTURES = (".png", ".svg", ".pdf")


def is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURES


def check_picture(options: EvalOptions) -> None:
    """Raises UsageError unless `--output` is a picture that can be drawn."""
    path = options.output
    assert path is not None
    if not options.calibration:
        raise UsageError(f"--output {path} is for reliability diagrams; add --calibration")
    if not is_picture(path):
        raise UsageError(f"--output {path}: suffix {path.suffix!r} is not one of {listed(PICTURES)}")
    if find_spec("matplotlib") is None:
        raise UsageError(f"--output {path} needs matplotlib; install it with: pip install 'mtlkit[pictures]'")


def write_picture(options: EvalOptions, tasks: Mapping[str, Reliability]) -> None:
    """Draws a panel per task. Raises UsageError if no task has probabilities, SavingError."""
    from mtlkit.report.evaluation.calibration_plot import reliability_picture

    assert options.output is not None
    if not tasks:
        raise UsageError(f"--output {options.output}: nothing to draw, as no task has probabilities")
    write_output(options, reliability_picture(tasks, options.output.suffix.lower().removeprefix(".")))
