"""Writes the rows of a command to its `--output`: a file, or a folder or URL of parts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.outputs import PART_ROWS, shard_of
from mtlkit.data.outputs.remote_storage import open_storage
from mtlkit.data.outputs.writers import WRITERS, check_format
from mtlkit.data.sources.remote import REMOTE
from mtlkit.data.sources.text_files import address_of
from mtlkit.errors import UsageError
from mtlkit.inference.find_model import ModelRef
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.inputs.texts import check_one_place, reads_standard_input
from mtlkit.recipes.outputs.folder_checks import check_folder
from mtlkit.recipes.outputs.job import Job, OutputProgress, RowOptions
from mtlkit.recipes.outputs.to_file import write_to_file
from mtlkit.recipes.outputs.to_folder import write_to_folder
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file

NEED_OUTPUT = {"resume": False, "overwrite": False, "shard": None, "keep": None, "format": None}  # and their defaults


def check_no_output(options: RowOptions) -> None:
    """Raises UsageError for options that only an output has."""
    given = [f"--{name}" for name, default in NEED_OUTPUT.items() if getattr(options, name) != default]
    if isinstance(options, EmbedOptions) and options.dtype != "float32":
        given.append("--dtype")
    if given:
        raise UsageError(f"{' and '.join(given)} need{'s' if len(given) == 1 else ''} an --output")


def output_address(options: RowOptions) -> str:
    """The output as it was typed. Raises UsageError if there is none."""
    if options.output is None:
        raise UsageError("no --output to write to")
    return address_of(options.output)


def writes_parts(options: RowOptions) -> bool:
    """Whether the output is a folder: it exists as one, has no suffix, is a URL, or there is a --format for its parts."""
    address = output_address(options)
    assert options.output is not None
    if REMOTE.fullmatch(address) or options.output.is_dir():
        return True
    return options.format is not None or options.shard is not None or not options.output.suffix


def part_suffix(options: RowOptions) -> str:
    """The suffix of the file, or of the parts."""
    assert options.output is not None
    return f".{options.format or 'parquet'}" if writes_parts(options) else options.output.suffix.lower()


def check_output(options: RowOptions, model: ModelRef | None = None) -> None:
    """Raises UsageError if `options.output` must not or cannot be written. Call it before any work."""
    address = output_address(options)
    assert options.output is not None
    if options.resume and options.overwrite:
        raise UsageError("--resume and --overwrite are given; use one of them")
    check_one_place(options)
    vectors, keep = isinstance(options, EmbedOptions), options.keep is not None
    inputs = inputs_of(options, model)
    if not writes_parts(options):
        if options.part_rows != PART_ROWS:
            raise UsageError(f"--part-rows is for a folder, and --output {address} is a file; leave one of them out")
        check_format(options.output.suffix, address, vectors=vectors, keep=keep)
        check_output_file(options.output, inputs, overwrite=options.overwrite or options.resume)
        return
    check_format(part_suffix(options), address, vectors=vectors, keep=keep)
    if os.path.splitext(address.rstrip("/"))[1].lower() in WRITERS and not options.output.is_dir():
        why = "at a URL" if REMOTE.fullmatch(address) else "with --format or --shard"
        raise UsageError(f"--output {address}: {why}, the output is a folder of parts; give it a name without a suffix")
    if address.lower().startswith(("http://", "https://")):
        raise UsageError(f"--output {address}: nothing can be written there; use a folder, s3:// or another store")
    if not options.input or reads_standard_input(options):
        raise UsageError(f"--output {address} is a folder, whose parts are named after input files; give them with --input")
    shard = shard_of(options.shard, os.environ)
    if options.overwrite and shard.count > 1:
        raise UsageError(f"--overwrite would delete what other shards wrote; remove {address}, or continue it with --resume")
    if not REMOTE.fullmatch(address):
        check_folder(Path(address), inputs)


def write_output(options: RowOptions, loaded: LoadedModel, make_job: Callable[[str], Job]) -> Iterator[OutputProgress]:
    """Writes all rows, or those of a shard. `make_job` takes the suffix of the format. Raises UsageError, DataError, SavingError,
    NetworkError."""
    model = ModelRef(loaded.path, "")
    check_output(options, model)
    assert options.output is not None
    command = command_line("embed" if isinstance(options, EmbedOptions) else "predict", options)
    job = make_job(part_suffix(options))
    if not writes_parts(options):
        with locked(options.output, command, option="--output"):
            check_output(options, model)  # again, as another command may have written the file in the meantime
            yield from write_to_file(job, options.output, resume=options.resume, overwrite=options.overwrite)
        return
    with open_storage(output_address(options)) as storage:
        yield from write_to_folder(job, storage, options, shard_of(options.shard, os.environ), command)
