"""Checks `--output`, and writes confusion matrices as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.errors import UsageError, listed
from mtlkit.recipes.evaluation.output_file import check_path, write_output
from mtlkit.recipes.evaluation.pictures import PICTURES, check_picture, is_picture
from mtlkit.report.evaluation.confusion_plot import Matrix


def check_output(options: EvalOptions) -> None:
    """Raises UsageError if the matrices must not or cannot be written. Call it before any work."""
    if options.output is None:
        if options.overwrite and options.errors is None:
            raise UsageError("--overwrite needs an --output or --errors")
        return
    if is_picture(options.output) or (options.calibration and not options.confusion):
        check_picture(options)
    elif not options.confusion:
        raise UsageError(f"--output {options.output} is for confusion matrices; add --confusion")
    elif options.output.suffix.lower() != ".csv":
        raise UsageError(f"--output {options.output}: suffix {options.output.suffix!r} is not .csv or one of {listed(PICTURES)}")
    check_path(options)


def write_matrices(options: EvalOptions, matrices: Mapping[str, Matrix]) -> None:
    """Writes a block for each task: a header with its name and the predicted classes, then a row for each true class. An empty
    line separates blocks. Raises UsageError if there is no matrix, SavingError.
    """
    assert options.output is not None
    if not matrices:
        raise UsageError(f"--output {options.output}: nothing to write, as no task has a confusion matrix")
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(_rows(matrices))
    write_output(options, text.getvalue().encode("utf-8", "backslashreplace"))


def _rows(matrices: Mapping[str, Matrix]) -> Iterator[Sequence[object]]:
    for index, (task, (labels, counts)) in enumerate(matrices.items()):
        if index:
            yield []
        yield [task, *labels]
        for label, row in zip(labels, counts, strict=True):
            yield [label, *row]
