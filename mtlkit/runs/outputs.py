"""Checks an output path before any work is done, in the same way for every command that writes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from mtlkit.config.small_files import Unreadable, check_readable
from mtlkit.errors import MtlkitError, UsageError, listed
from mtlkit.runs.overlap import Input, check_not_in_model, check_not_input, has_any_checkpoint, same_file
from mtlkit.runs.record import (
    CARD,
    CHECKPOINT_GLOB,
    CHECKPOINTS,
    DIVERGED,
    LOG,
    OLD_LOCK,
    OLD_WRITER,
    RECORD,
    STAGING,
    file_digest,
    read_record,
    record_name,
)
from mtlkit.runs.replace_folder import restore_replaced
from mtlkit.runs.staging import exports_in, foreign_files

EDITABLE = (CARD, "config.json")  # files of a run that people edit
MAX_SHOWN = 4  # file names in a message


def check_output_file(out: Path, inputs: Iterable[Input], *, overwrite: bool, option: str = "--output") -> None:
    """Raises UsageError if a file must not or cannot be written."""
    _check_reachable(out, option)
    if os.path.lexists(out) and not out.is_file():
        raise UsageError(f"{option} {out} is {'a folder' if out.is_dir() else 'not a regular file'}; specify a file")
    folder = out.resolve().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"cannot write {option} {out}; specify a file in an existing folder that you may write to")
    check_not_input(out, inputs, option)
    check_not_in_model(out, option)
    if out.exists() and not overwrite:
        raise UsageError(f"{option} {out} exists; replace it with --overwrite or specify another file")


def check_output_folder(
    out: Path,
    inputs: Iterable[Input],
    *,
    overwrite: bool,
    resume: bool = False,
    option: str = "--out",
    what: str = "run",
    marks: Sequence[str] = (RECORD,),
    inside: Path | None = None,
) -> None:
    """Raises UsageError if a run or an export must not or cannot be written.

    A folder is replaced only if a readable record and the files in `marks` identify it as `what`, and if it contains nothing
    else but exports, which are kept. With `resume`, other files are allowed; they are kept when the training ends, too. `inside`
    is a model folder that may contain the output.
    """
    _check_reachable(out, option)
    if os.path.lexists(out) and not out.is_dir():
        raise UsageError(f"{option} {out} is a file; specify a folder")
    target, cwd = out.resolve(), Path.cwd()
    restore_replaced(target.parent, target.name)
    if target in (cwd, *cwd.parents) or target.is_mount():  # it cannot be renamed, which would only fail at the end
        raise UsageError(f"{option} {out} is the current folder, one of its parents or a mount point; specify a folder inside it")
    if not resume:
        own = inside if inside is not None and same_file(target.parent, inside) else None
        check_not_input(out, (source for source in inputs if not (own and same_file(source.path, own))), option)
        if own is None:
            check_not_in_model(out, option)
    if out.is_dir() and not _is_empty(out):
        _check_replaceable(out, overwrite, resume, option, what, marks)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.{STAGING}"):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {option} {out}: {error.strerror}; choose another folder with {option}") from None


def kept_line(out: Path) -> str:
    """Which exports are kept when the run in a folder is replaced, in a sentence; empty if there are none."""
    exports = exports_in(out) if out.is_dir() else []
    if not exports:
        return ""
    return f"{out} keeps {listed(exports, MAX_SHOWN)}, exported before; export again with --overwrite for the new weights"


def _check_replaceable(out: Path, overwrite: bool, resume: bool, option: str, what: str, marks: Sequence[str]) -> None:
    """Raises UsageError if the content of a folder must not be replaced."""
    unfinished = RECORD in marks and what == "run" and has_any_checkpoint(out) and not (out / RECORD).exists()
    if not overwrite and not resume:
        choices = "continue it with --resume, " if unfinished else ""
        raise UsageError(f"{out} is not empty; {choices}replace it with --overwrite, or choose another folder with {option}")
    if resume:
        return
    names = foreign_files(out, but_exports=True)
    replaceable = unfinished or (_is_record_of(out, what) and all((out / name).is_file() for name in marks))
    if names or not replaceable:
        article = "an" if what[0] in "aeiou" else "a"
        content = f"contains {listed(names, MAX_SHOWN)}, not part of" if names else "is not"
        raise UsageError(
            f"{out} {content} {article} {what}, so --overwrite does not replace it; choose another folder with {option}"
        )
    if edited := _edited_file(out):
        advice = f"move it away, or choose another folder with {option}"
        raise UsageError(f"{out / edited} was changed after mtlkit wrote it, so --overwrite does not delete it; {advice}")


def _edited_file(folder: Path) -> str | None:
    """The first of the editable files whose digest differs from the record's."""
    with suppress(MtlkitError, OSError):
        files = read_record(folder, record_name(folder)).files
        return next((name for name in EDITABLE if name in files and file_digest(folder / name) != files[name]), None)
    return None


def _is_record_of(folder: Path, what: str) -> bool:
    """Whether a folder's record is that of `what`: a run, or an export."""
    with suppress(MtlkitError):
        return read_record(folder, record_name(folder)).is_of("export") == what.startswith("export")
    return False


def _is_empty(out: Path) -> bool:
    """Whether a folder is empty except for what a training leaves that was killed before its first checkpoint."""
    paths = [path for path in out.iterdir() if path != out / CHECKPOINTS or not path.is_dir()]
    paths += (out / CHECKPOINTS).glob("*")
    ignored = {out / CHECKPOINTS / name for name in (OLD_LOCK, OLD_WRITER, LOG, DIVERGED)}
    return all(path in ignored or path.match(f"{CHECKPOINTS}/.{CHECKPOINT_GLOB}") for path in paths)


def _check_reachable(out: Path, option: str) -> None:
    try:
        check_readable(out)
    except Unreadable as error:
        raise UsageError(f"{option} {out}: {error}; choose another path with {option}") from None
    if out.is_symlink() and not out.exists():
        raise UsageError(f"{option} {out} is a broken link; remove it or choose another path")
