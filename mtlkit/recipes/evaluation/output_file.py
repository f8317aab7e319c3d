"""Writes the file of `eval --output`."""

from __future__ import annotations

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.runs.atomic import atomic_file, saving
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file


def check_path(options: EvalOptions) -> None:
    """Raises UsageError if the file must not or cannot be written."""
    assert options.output is not None
    check_output_file(options.output, inputs_of(options), overwrite=options.overwrite)


def write_output(options: EvalOptions, content: bytes) -> None:
    """Writes the file in one piece. Raises UsageError, SavingError."""
    assert options.output is not None
    with locked(options.output, command_line("eval", options), option="--output"):
        check_path(options)  # again, as another command may have written the file in the meantime
        with saving(options.output), atomic_file(options.output.resolve()) as file:
            file.write(content)
