"""What a run is: read from its files, checked against its digests, nothing loaded and nothing run."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mtlkit.config.inference import InfoOptions
from mtlkit.errors import IntegrityError, MtlkitError, UsageError
from mtlkit.inference.find_model import HUB_ID, MINI, ModelRef, find_model, no_folder
from mtlkit.model.description import ModelDescription, is_foreign, read_checkpoint
from mtlkit.recipes.run_info.files import any_record, check_files, foreign_parts, other_files, record_name, run_parts
from mtlkit.recipes.run_info.lineage import lineage
from mtlkit.report.run_facts import PartSize, RunFacts
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import PACKAGES, RECORD, SAVED, STATE, RunRecord, holds_state, is_export

UNFINISHED = "unfinished training"
NOT_SAVED = "unfinished training, no checkpoint saved yet"


def info(options: InfoOptions) -> RunFacts:
    """All that is known of a run. What does not hold is among its `problems`, and no error. Raises UsageError where there is no
    run, IntegrityError where its record cannot be read."""
    found = find_run(options)
    folder = found.path
    state, troubles = state_of(folder)
    if not (folder / record_name(folder)).is_file():
        if state is None and not (folder / STATE).is_dir():
            raise UsageError(f"{found} holds no {RECORD}, so it is no run of mtlkit; name the folder of one")
        kind = NOT_SAVED if state is None else UNFINISHED
        return RunFacts(str(found), folder, kind, found.reason, state=state, problems=tuple(troubles))
    record = any_record(folder)
    files = tuple(check_files(folder, record.files))
    bad = [file for file in files if file.condition != "ok"]
    unlisted, exports = other_files(folder, record.files, record_name(folder))
    checkpoint, parts, unread = model_of(folder)
    known = tuple(f"{folder / file.name}:" for file in bad)  # said already, by its digest
    return RunFacts(
        name=str(found),
        path=folder,
        kind=kind_of(record),
        reason=found.reason,
        record=record,
        checkpoint=checkpoint,
        parts=parts,
        lineage=lineage(folder, record),
        installed=installed(record),
        files=files,
        unlisted=tuple(unlisted),
        exports=tuple(exports),
        state=state,
        problems=(*(file.reason for file in bad), *(text for text in unread if not text.startswith(known)), *troubles),
    )


def find_run(options: InfoOptions) -> ModelRef:
    """The folder asked for, or the newest run as other commands choose it. The hub is never asked. Raises UsageError."""
    asked = None if options.run is None else str(options.run)
    if asked not in (None, MINI) and HUB_ID.fullmatch(asked) and not Path(asked).exists():
        raise no_folder(asked, options.runs, "run")
    return find_model(asked, options.runs, ("mtl", "sentence", "base"))


def kind_of(record: RunRecord) -> str:
    """What wrote the folder: a training, or an export in some format."""
    exported = record.command.startswith("mtlkit export") and "format" in record.options
    return f"{record.options['format']} export" if exported else "run"


def state_of(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The steps of the saved states in a folder and what the newest sound one holds but its tensors (None: none is saved), and
    what is wrong with them."""
    steps = [path.name.removeprefix("step-") for path in sorted((folder / STATE).glob(SAVED))]
    whole = sorted(int(step) for step in steps if step.isdecimal())
    if not holds_state(folder) or not whole:
        return None, []
    about, trouble = None, "none of its saved states is sound, so the training cannot go on from here"
    try:
        about = (CheckpointManager(folder).peek() or {}).get("about")
    except (OSError, ValueError, MtlkitError) as error:
        trouble = str(error)
    return {"steps": whole, "about": about}, [] if about is not None else [f"{folder / STATE}: {trouble}"]


def model_of(folder: Path) -> tuple[ModelDescription | None, tuple[PartSize, ...], list[str]]:
    """The description of a model and the sizes of its parts, as far as they can be read, and why not further."""
    troubles: list[str] = []
    checkpoint: ModelDescription | None = None
    parts: tuple[PartSize, ...] = ()
    try:
        checkpoint = described(folder)
    except IntegrityError as error:
        troubles.append(str(error))
    try:
        if is_foreign(folder):
            parts = foreign_parts(folder, checkpoint.architecture) if checkpoint else ()
        elif not is_export(folder):
            parts = run_parts(folder)
    except IntegrityError as error:
        troubles.append(str(error))
    return checkpoint, parts, troubles


def described(folder: Path) -> ModelDescription:
    """What a folder's model is. Only for a folder with other names of things than ours is torch needed."""
    if not is_foreign(folder):
        return read_checkpoint(folder)
    from mtlkit.model.interop.reading import describe_foreign

    return describe_foreign(folder)


def installed(record: RunRecord) -> dict[str, str | None]:
    """The versions of what a record names and of what mtlkit needs, as they are here; None where there is none."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in dict.fromkeys([*PACKAGES, *record.versions]):
        if package != "python":
            try:
                found[package] = version(package)
            except (PackageNotFoundError, ValueError):  # a name that no package can have
                found[package] = None
    return found
