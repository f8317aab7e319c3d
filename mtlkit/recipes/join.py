"""`mtlkit join`: checks the parts of an output, and joins them into one file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlkit.config.commands.join import JoinOptions
from mtlkit.config.from_json import parse_object
from mtlkit.data.outputs.joining import joined_file
from mtlkit.data.outputs.manifest import MANIFEST, WORK, Manifest, PartRecord, done_from, input_names, missing_rows, read_manifest
from mtlkit.data.outputs.remote_storage import open_storage
from mtlkit.data.outputs.storage import Storage
from mtlkit.data.sources.remote import REMOTE
from mtlkit.data.sources.text_files import address_of
from mtlkit.errors import DataError, IntegrityError, UsageError, listed
from mtlkit.progress import counted
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.outputs.parts_folder import SETTINGS
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file
from mtlkit.runs.overlap import Input


@dataclass(frozen=True)
class Joined:
    """A complete output: its number of rows and parts, and the file that they were joined into, if any."""

    folder: str
    rows: int
    parts: int
    output: Path | None

    def to_json(self) -> dict[str, Any]:
        output = {} if self.output is None else {"output": str(self.output)}
        return {"folder": self.folder, "rows": self.rows, "parts": self.parts, **output}


def join(options: JoinOptions) -> Joined:
    """Checks every part against the manifest, and writes `options.output` if it is set.

    Raises UsageError, DataError if rows are missing, IntegrityError for a damaged part, SavingError.
    """
    if options.folder is None:
        raise UsageError("no output to check; give the folder that embed or predict wrote")
    address = address_of(options.folder)
    with open_storage(address) as storage:
        manifest = complete_manifest(storage)
        suffix = Path(manifest.parts[0].file).suffix
        if options.output is not None:
            _check_output(options, address, suffix)
        for part in counted(manifest.parts, "checking parts", len(manifest.parts), "parts"):
            check_part(storage, part)
        if options.output is not None:
            files = [storage.file(part.file) for part in manifest.parts]
            with locked(options.output, command_line("join", options), option="--output"):
                _check_output(options, address, suffix)  # again, as another command may have written it in the meantime
                joined_file(files, suffix, options.output)
    return Joined(address, manifest.rows, len(manifest.parts), options.output)


def _check_output(options: JoinOptions, address: str, suffix: str) -> None:
    assert options.output is not None
    if options.output.suffix.lower() != suffix:
        raise UsageError(f"--output {options.output}: the parts are {suffix[1:]} files; use the suffix {suffix}")
    inputs = [] if REMOTE.fullmatch(address) else [Input(Path(address), "FOLDER")]
    check_output_file(options.output, inputs, overwrite=options.overwrite)


def complete_manifest(storage: Storage) -> Manifest:
    """The manifest. Raises DataError that names missing rows if there is none yet."""
    content = storage.read(MANIFEST)
    if content is not None:
        return read_manifest(content, f"{storage}/{MANIFEST}")
    settings = storage.read(SETTINGS)
    if settings is None:
        raise DataError(f"{storage}: no output in parts; give the folder that embed or predict wrote with --output")
    try:
        names = input_names(parse_object(settings))
    except ValueError as error:
        raise IntegrityError(f"{storage}/{SETTINGS} is damaged ({error}); run the command again with --resume") from None
    missing = list(missing_rows(done_from(storage.names(WORK)), names))
    what = f"missing are {listed(missing, 6)}" if missing else "it has no manifest"
    raise DataError(f"{storage} is not complete: {what}; run the command again with --resume, for every shard that did not end")


def check_part(storage: Storage, part: PartRecord) -> None:
    """Raises DataError for a part that is missing, IntegrityError for one that is damaged."""
    advice = "make it again: run the command with --resume"
    size = storage.size(part.file)
    if size is None:
        raise DataError(f"{storage}/{part.file} is missing; {advice}")
    if size != part.bytes:
        raise IntegrityError(f"{storage}/{part.file} has {size:,} bytes, not {part.bytes:,}; {advice}")
    digest = hashlib.sha256()
    with storage.file(part.file).open() as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if (found := digest.hexdigest()) != part.sha256:
        raise IntegrityError(f"{storage}/{part.file} has the SHA-256 {found}, not {part.sha256}; remove it and {advice}")
