"""Writes confusion matrices as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from mtlkit.config.inference import EvalOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.runs.atomic import atomic_file, saving
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file

Matrix = tuple[Sequence[str], Sequence[Sequence[int]]]  # labels, and a row of counts per true class


def check_output(options: EvalOptions) -> None:
    """Whether the matrices may be written, before any work. Raises UsageError."""
    if options.output is None:
        if options.overwrite:
            raise UsageError("--overwrite needs an --output")
        return
    if not options.confusion:
        raise UsageError(f"--output {options.output} is for confusion matrices; add --confusion")
    if options.output.suffix.lower() != ".csv":
        raise UsageError(f"--output {options.output}: suffix {options.output.suffix!r} is not .csv")
    check_output_file(options.output, inputs_of(options), overwrite=options.overwrite)


def write_matrices(options: EvalOptions, matrices: Mapping[str, Matrix]) -> None:
    """Writes a block per task: its name and the predicted classes, then a row per true class. Blocks are separated by an empty
    line. Raises UsageError where there is no matrix, SavingError."""
    assert options.output is not None
    if not matrices:
        raise UsageError(f"--output {options.output}: nothing to write, as no task has a confusion matrix")
    with locked(options.output, command_line("eval", options), option="--output"):
        check_output(options)  # as another command may have written it meanwhile
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(_rows(matrices))
        with saving(options.output), atomic_file(options.output.resolve()) as file:
            file.write(text.getvalue().encode("utf-8", "backslashreplace"))


def _rows(matrices: Mapping[str, Matrix]) -> Iterator[Sequence[object]]:
    for place, (task, (labels, counts)) in enumerate(matrices.items()):
        if place:
            yield []
        yield [task, *labels]
        for label, row in zip(labels, counts, strict=True):
            yield [label, *row]
