"""What a command may write, and where: decided before any work, the same way for every command that writes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.small_files import Unreadable, check_readable
from mtlkit.errors import MtlkitError, UsageError, listed
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import (
    CARD,
    DIVERGED,
    EXPORT_RECORD,
    GRAPH,
    LOCK,
    LOG,
    RECORD,
    SAVED,
    STAGED,
    STATE,
    WEIGHTS,
    WRITER,
    file_digest,
    read_record,
    record_name,
)
from mtlkit.runs.staging import foreign

MODEL_FILES = (WEIGHTS, f"{WEIGHTS}.index.json", "pytorch_model.bin", GRAPH)  # beside a config.json: a folder of a model
EDITABLE = (CARD, "config.json")  # files of a run that people edit
SHOWN = 4  # names of foreign files in a message


@dataclass(frozen=True)
class Input:
    """Something that a command reads, and what the user calls it."""

    path: Path
    name: str


def check_file(out: Path, inputs: Iterable[Input], *, overwrite: bool, option: str = "--output") -> None:
    """Fails before any work where a file must not or cannot be written. Raises UsageError."""
    _check_links(out, option)
    if os.path.lexists(out) and not out.is_file():
        raise UsageError(f"{option} {out} is {'a folder' if out.is_dir() else 'no regular file'}; name a file")
    place = out.resolve()
    if not place.parent.is_dir() or not os.access(place.parent, os.W_OK):
        raise UsageError(f"{option} {out} cannot be written; name a file in a folder that exists and is yours")
    check_inputs(out, inputs, option)
    _check_inside(out, option)
    if out.exists() and not overwrite:
        raise UsageError(f"{option} {out} exists; replace it with --overwrite, or name another file")


def check_folder(
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
    """Fails before any work where a run or an export must not or cannot be written.

    Replaced is only what `marks`, the files that tell it apart, and a readable record make known as `what`, and only where
    nothing else lies in it. Where a training goes on (`resume`), other files are no obstacle: they are kept when it ends.
    `inside` is a model in whose folder it may lie. Raises UsageError.
    """
    _check_links(out, option)
    if os.path.lexists(out) and not out.is_dir():
        raise UsageError(f"{option} {out} is a file; name a folder")
    place, here = out.resolve(), Path.cwd()
    disk.restore(place.parent, place.name)
    if place in (here, *here.parents) or place.is_mount():  # it could not be renamed, which would show only at the end
        raise UsageError(f"{option} {out} is the current folder, one above it or a mount point; name a folder inside it")
    if not resume:
        own = inside is not None and same_file(place.parent, inside)
        check_inputs(out, (one for one in inputs if not (own and inside and same_file(one.path, inside))), option)
        if not own:
            _check_inside(out, option)
    if out.is_dir() and not _holds_nothing(out):
        _check_replaced(out, overwrite, resume, option, what, marks)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.{STAGED}"):
            pass
    except OSError as error:
        raise UsageError(f"{option} {out} cannot be written: {error.strerror}; name another folder with {option}") from None


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths are one file or folder, by whatever names: links, hard links, case."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def holds_checkpoint(out: Path) -> bool:
    """Whether a checkpoint of a training, a damaged one too, is in its folder."""
    return any((out / STATE).glob(SAVED))


def _check_replaced(out: Path, overwrite: bool, resume: bool, option: str, what: str, marks: Sequence[str]) -> None:
    """Whether what is in a folder may be replaced."""
    unfinished = RECORD in marks and what == "run" and holds_checkpoint(out) and not (out / RECORD).exists()
    if not overwrite and not resume:
        way = "continue it with --resume, " if unfinished else ""
        raise UsageError(f"{out} is not empty; {way}replace it with --overwrite, or name another folder with {option}")
    if resume:
        return
    names = foreign(out)
    known = unfinished or (_is(out, what) and all((out / name).is_file() for name in marks))
    if names or not known:
        holds = f"holds {listed(names, SHOWN)}, not part of " if names else "holds no "
        article = f"{'an' if what[0] in 'aeiou' else 'a'} " if names else ""
        raise UsageError(f"{out} {holds}{article}{what}, so --overwrite does not touch it; name another folder with {option}")
    if edited := _edited(out):
        way = f"move it away, or name another folder with {option}"
        raise UsageError(f"{out / edited} was changed after mtlkit wrote it, so --overwrite does not delete it; {way}")


def _edited(folder: Path) -> str | None:
    """The first of those files that people edit which is not what a run's or export's record says."""
    with suppress(MtlkitError, OSError):
        files = read_record(folder, record_name(folder)).files
        return next((one for one in EDITABLE if one in files and file_digest(folder / one) != files[one]), None)
    return None


def _is(folder: Path, what: str) -> bool:
    """Whether a folder's record is that of a run, or of an export."""
    with suppress(MtlkitError):
        return read_record(folder, record_name(folder)).is_of("export") == what.startswith("export")
    return False


def _holds_nothing(out: Path) -> bool:
    """Whether a folder is empty but for what a training leaves that was killed before it saved anything."""
    inside = [path for path in out.iterdir() if path != out / STATE or not path.is_dir()]
    inside += (out / STATE).glob("*")
    left = {out / STATE / name for name in (LOCK, WRITER, LOG, DIVERGED)}
    return all(path in left or path.match(f"{STATE}/.{SAVED}") for path in inside)


def _check_links(out: Path, option: str) -> None:
    try:
        check_readable(out)
    except Unreadable as error:
        raise UsageError(f"{option} {out}: {error}; name another place with {option}") from None
    if out.is_symlink() and not out.exists():
        raise UsageError(f"{option} {out} is a link to nothing; name a folder or file, or remove the link")


def check_inputs(out: Path, inputs: Iterable[Input], option: str = "--out") -> None:
    """An output is no input, and neither is inside the other. Raises UsageError."""
    for one in inputs:
        if os.path.exists(one.path) and (relation := _relation(out, one.path)):
            raise UsageError(f"{option} {out} {relation} {one.name} {one.path}; name another place with {option}")


def _relation(out: Path, path: Path) -> str | None:
    if same_file(out, path):
        return "is"
    if any(same_file(out, parent) for parent in _above(path)):
        return "contains"
    if path.is_dir() and any(same_file(path, parent) for parent in _above(out)):
        return "is inside"
    return None


def _check_inside(out: Path, option: str) -> None:
    for parent in _above(out):
        if _is_model(parent):
            raise UsageError(f"{option} {out} is inside {parent}, the folder of a run or model; name a place outside it")


def _is_model(folder: Path) -> bool:
    if (folder / "config.json").is_file() and any((folder / name).is_file() for name in MODEL_FILES):
        return True
    if holds_checkpoint(folder):
        return True
    for name in (RECORD, EXPORT_RECORD):
        if (folder / name).is_file():
            with suppress(MtlkitError):
                read_record(folder, name)
                return True
    return False


def _above(path: Path) -> Iterator[Path]:
    """The folders that a path lies in: as it is written, and where its links lead."""
    written, real = Path(os.path.abspath(path)), path.resolve()
    yield from written.parents
    yield from (parent for parent in real.parents if parent not in written.parents)
