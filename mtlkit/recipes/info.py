"""`mtlkit info`: describes a run from its files and verifies their digests, without loading the model."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from mtlkit.config.commands.run_commands import InfoOptions
from mtlkit.errors import IntegrityError, MtlkitError, UsageError
from mtlkit.inference.find_model import HUB_ID, MINI, ModelRef, find_model, folder_not_found
from mtlkit.model.description import ModelDescription, is_adapter, is_foreign, read_checkpoint
from mtlkit.recipes.installation.packages import installed_version
from mtlkit.recipes.run_info.files import any_record, check_files, foreign_parts, other_files, record_name, run_parts, titled
from mtlkit.recipes.run_info.lineage import lineage
from mtlkit.report.run_facts import PartSize, RunFacts
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import CHECKPOINT_GLOB, CHECKPOINTS, PACKAGES, RECORD, RunRecord, has_checkpoint, is_export

UNFINISHED = "unfinished training"
NOT_SAVED = "unfinished training, no checkpoint saved yet"


def info(options: InfoOptions) -> RunFacts:
    """All facts about a run; failed checks are listed in `problems`. Raises UsageError if there is no run, IntegrityError if its
    run.json cannot be read."""
    run = find_run(options)
    folder = run.path
    state, problems = state_of(folder)
    if not (folder / record_name(folder)).is_file():
        if state is None and not (folder / CHECKPOINTS).is_dir():
            raise UsageError(f"{run} is not a run: it has no {RECORD}; give the folder of a run")
        kind = NOT_SAVED if state is None else UNFINISHED
        return RunFacts(str(run), folder, kind, run.reason, state=state, problems=tuple(problems))
    record = any_record(folder)
    files = tuple(check_files(folder, record.files))
    bad = [file for file in files if file.condition != "ok"]
    unlisted, exports = other_files(folder, record.files, record_name(folder))
    checkpoint, parts, unread = model_of(folder)
    known = tuple(f"{folder / file.name}:" for file in bad)  # already reported by its digest
    return RunFacts(
        name=str(run),
        path=folder,
        kind=kind_of(record),
        reason=run.reason,
        record=record,
        checkpoint=checkpoint,
        parts=parts,
        lineage=lineage(folder, record),
        installed=installed(record),
        files=files,
        unlisted=tuple(unlisted),
        exports=tuple(exports),
        state=state,
        problems=(*(file.reason for file in bad), *(text for text in unread if not text.startswith(known)), *problems),
    )


def find_run(options: InfoOptions) -> ModelRef:
    """The given folder, or the newest run, as other commands choose it. Never contacts the hub. Raises UsageError."""
    name = None if options.run is None else str(options.run)
    if name not in (None, MINI) and HUB_ID.fullmatch(name) and not Path(name).exists():
        raise folder_not_found(name, options.runs, "run")
    return find_model(name, options.runs, ("mtl", "sentence", "base"))


def kind_of(record: RunRecord) -> str:
    """Whether a training or an export wrote the folder."""
    exported = record.command.startswith("mtlkit export") and "format" in record.options
    return f"{record.options['format']} export" if exported else "run"


def state_of(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The steps of the checkpoints in a folder with what the newest valid one is about (None: no checkpoint), and problems."""
    steps = [path.name.removeprefix("step-") for path in sorted((folder / CHECKPOINTS).glob(CHECKPOINT_GLOB))]
    whole = sorted(int(step) for step in steps if step.isdecimal())
    if not has_checkpoint(folder) or not whole:
        return None, []
    about, problem = None, "no checkpoint is valid, so the training cannot be resumed"
    try:
        about = (CheckpointManager(folder).peek() or {}).get("about")
    except (OSError, ValueError, MtlkitError) as error:
        problem = str(error)
    return {"steps": whole, "about": about}, [] if about is not None else [f"{folder / CHECKPOINTS}: {problem}"]


def model_of(folder: Path) -> tuple[ModelDescription | None, tuple[PartSize, ...], list[str]]:
    """The description of a model, the sizes of its parts, and the errors in reading them."""
    problems: list[str] = []
    checkpoint: ModelDescription | None = None
    parts: tuple[PartSize, ...] = ()
    try:
        checkpoint = described(folder)
    except IntegrityError as error:
        problems.append(str(error))
    try:
        if is_adapter(folder):
            pass  # its weights are not those of parts of a model
        elif is_foreign(folder):
            parts = foreign_parts(folder, checkpoint.architecture) if checkpoint else ()
        elif not is_export(folder):
            parts = run_parts(folder)
            parts = titled(parts, checkpoint.architecture) if checkpoint else parts
    except IntegrityError as error:
        problems.append(str(error))
    return checkpoint, parts, problems


def described(folder: Path) -> ModelDescription:
    """The description of the model in a folder. Needs torch only for a folder in another library's format."""
    if not is_foreign(folder):
        return read_checkpoint(folder)
    from mtlkit.inference.load_weights import read_description

    return read_description(folder)


def installed(record: RunRecord) -> dict[str, str | None]:
    """Installed versions of the recorded packages and of mtlkit's dependencies; None if not installed."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in dict.fromkeys([*PACKAGES, *record.versions]):
        if package != "python":
            versions[package] = installed_version(package)
    return versions
