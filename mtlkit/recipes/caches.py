"""Finds all cache files that mtlkit wrote, and removes them. Files whose names it never gives are not touched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.inference import InfoOptions
from mtlkit.data.resumable_output import files_of
from mtlkit.errors import UsageError
from mtlkit.report.caches import CacheFacts, CacheReport
from mtlkit.runs import atomic as disk
from mtlkit.runs.lock import locked
from mtlkit.runs.store import BASELINES, CACHE, FEATURES, OF_THE_USER, cache_folder

PARTS = re.compile(r"\.(.+)\.parts")
STORED = r"[0-9a-f]{32}(-\d+)?\.safetensors"
BEGUN = rf"\.{STORED}\.\w+{re.escape(disk.UNFINISHED)}"
FILE = re.compile(f"{STORED}|{BEGUN}")
# what earlier versions wrote: files of features, a folder for each baseline, and what was left in temporary folders
EARLIER_FEATURES = re.compile(r"[0-9a-f]{64}-[0-9a-f]{8}\.npy|\.making\.\w+/\.?rows\.npy[.\w]*")
EARLIER_BASELINES = re.compile(r"[0-9a-f]{32}/(run\.json|outputs\.safetensors|metrics\.jsonl)")
EARLIER_BEGUN = re.compile(rf"tmp\w+/{STORED}")


@dataclass(frozen=True)
class CacheFolder:
    """Our files of one kind in a folder, and what keeps others from using them while they are removed."""

    kind: str
    folder: Path
    files: tuple[Path, ...]
    hold: Callable[[], AbstractContextManager[None]] = nullcontext


def caches(options: InfoOptions) -> CacheReport:
    """What `--caches` lists, or `--clear-caches` removed. Raises UsageError."""
    if options.run is not None:
        raise UsageError(f"--caches and --clear-caches are about all runs; leave {options.run} out")
    found = list(find_caches(options.runs))
    if options.clear_caches:
        return clear(found)
    return CacheReport(tuple(CacheFacts(one.kind, one.folder, len(one.files), size_of(one.files)) for one in found))


def find_caches(runs: Path) -> Iterator[CacheFolder]:
    """Those of the user, those beside the runs, and parts that `embed` left in the current folder or beside the runs."""
    user = cache_folder()
    for kind in OF_THE_USER:
        yield from _cache(kind, user / kind, _ours(user / kind, FILE, EARLIER_BEGUN))
    for folder in [runs / CACHE, *sorted(runs.glob(f"*/{CACHE}"))]:
        features = [*_ours(folder, EARLIER_FEATURES), *_ours(folder / FEATURES, FILE)]
        yield from _cache(FEATURES, folder, features)
        yield from _cache(BASELINES, folder / BASELINES, _ours(folder / BASELINES, FILE, EARLIER_BASELINES))
    for place in dict.fromkeys(path.resolve() for path in (Path(), runs)):
        for folder in sorted(place.glob(".*.parts")):
            if (name := PARTS.fullmatch(folder.name)) and folder.is_dir() and not folder.is_symlink():
                output = folder.with_name(name[1])
                yield from _cache("embed parts", folder, files_of(folder), lambda output=output: locked(output, "mtlkit info"))  # type: ignore[misc]


def clear(found: list[CacheFolder]) -> CacheReport:
    """Removes the files that no process uses, and the folders that are empty then."""
    removed: list[CacheFacts] = []
    kept: list[tuple[Path, str]] = []
    for one in found:
        gone, size = 0, 0
        try:
            with one.hold():
                for path in one.files:
                    bytes_of = size_of([path])
                    if reason := _remove(path):
                        kept.append((path, reason))
                    else:
                        gone, size = gone + 1, size + bytes_of
                for folder in sorted({one.folder, *(path.parent for path in one.files)}, reverse=True):
                    with suppress(OSError):  # something else is in it
                        folder.rmdir()
        except UsageError as error:
            kept.append((one.folder, str(error)))
        if gone:
            removed.append(CacheFacts(one.kind, one.folder, gone, size))
    return CacheReport(tuple(removed), True, tuple(kept))


def size_of(files: list[Path] | tuple[Path, ...]) -> int:
    """The bytes of all; a file that is gone meanwhile has none."""
    total = 0
    for path in files:
        with suppress(OSError):
            total += path.lstat().st_size
    return total


def _cache(
    kind: str, folder: Path, files: list[Path], hold: Callable[[], AbstractContextManager[None]] = nullcontext
) -> Iterator[CacheFolder]:
    if files:
        yield CacheFolder(kind, folder, tuple(sorted(files)), hold)


def _ours(folder: Path, *patterns: re.Pattern[str]) -> list[Path]:
    """The files in a folder, or one level below, whose names are among those that we give. Links are not ours."""
    try:
        inside = [*folder.glob("*"), *folder.glob("*/*")]
    except OSError:
        return []
    return [
        path
        for path in inside
        if any(pattern.fullmatch(path.relative_to(folder).as_posix()) for pattern in patterns)
        and path.is_file()
        and not (path.is_symlink() or (path.parent != folder and path.parent.is_symlink()))
    ]


def _remove(path: Path) -> str | None:
    """Removes a file. Why not, where that cannot be."""
    if disk.in_use(path):
        return "a running process uses it"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None
