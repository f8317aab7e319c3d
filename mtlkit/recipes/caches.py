"""Lists and clears cache files. Only files with names that mtlkit generates are removed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.commands.run_commands import InfoOptions
from mtlkit.config.paths import cache_folder
from mtlkit.data.outputs.resumable_output import files_of
from mtlkit.errors import UsageError
from mtlkit.report.caches import CacheFacts, CacheReport
from mtlkit.runs import atomic as disk
from mtlkit.runs import file_locks
from mtlkit.runs.lock import locked
from mtlkit.runs.store import BASELINES, CACHE, FEATURES, USER_CACHE_KINDS

PARTS = re.compile(r"\.(.+)\.parts")
STORED = r"[0-9a-f]{32}(-\d+)?\.safetensors"
BEGUN = rf"\.{STORED}\.\w+{re.escape(disk.UNFINISHED)}"
FILE = re.compile(f"{STORED}|{BEGUN}")
# written by earlier versions: feature files, a folder per baseline, and leftovers in temporary folders
EARLIER_FEATURES = re.compile(r"[0-9a-f]{64}-[0-9a-f]{8}\.npy|\.making\.\w+/\.?rows\.npy[.\w]*")
EARLIER_BASELINES = re.compile(r"[0-9a-f]{32}/(run\.json|outputs\.safetensors|metrics\.jsonl)")
EARLIER_BEGUN = re.compile(rf"tmp\w+/{STORED}")


@dataclass(frozen=True)
class CacheFolder:
    """The cache files of one kind in a folder, and a lock held while they are removed."""

    kind: str
    folder: Path
    files: tuple[Path, ...]
    hold: Callable[[], AbstractContextManager[None]] = nullcontext


def caches(options: InfoOptions) -> CacheReport:
    """Lists the caches for `--caches`, or clears them for `--clear-caches`. Raises UsageError."""
    if options.run is not None:
        raise UsageError(f"--caches and --clear-caches apply to all runs; remove {options.run}")
    folders = list(find_caches(options.runs))
    if options.clear_caches:
        return clear(folders)
    facts = (CacheFacts(cache.kind, cache.folder, len(cache.files), size_of(cache.files)) for cache in folders)
    return CacheReport(tuple(facts))


def find_caches(runs: Path) -> Iterator[CacheFolder]:
    """The caches of the user and those next to the runs, and unfinished `embed` outputs here or next to the runs."""
    user = cache_folder()
    for kind in USER_CACHE_KINDS:
        yield from _cache(kind, user / kind, _ours(user / kind, FILE, EARLIER_BEGUN))
    for folder in [runs / CACHE, *sorted(runs.glob(f"*/{CACHE}"))]:
        features = [*_ours(folder, EARLIER_FEATURES), *_ours(folder / FEATURES, FILE)]
        yield from _cache(FEATURES, folder, features)
        yield from _cache(BASELINES, folder / BASELINES, _ours(folder / BASELINES, FILE, EARLIER_BASELINES))
    for parent in dict.fromkeys(path.resolve() for path in (Path(), runs)):
        for folder in sorted(parent.glob(".*.parts")):
            if (name := PARTS.fullmatch(folder.name)) and folder.is_dir() and not folder.is_symlink():
                output = folder.with_name(name[1])
                yield from _cache("output parts", folder, files_of(folder), lambda output=output: locked(output, "mtlkit info"))  # type: ignore[misc]


def clear(caches: list[CacheFolder]) -> CacheReport:
    """Removes the files that no process uses, then empty folders."""
    removed: list[CacheFacts] = []
    not_removed: list[tuple[Path, str]] = []
    for cache in caches:
        count, size = 0, 0
        try:
            with cache.hold():
                for path in cache.files:
                    bytes_of = size_of([path])
                    if reason := _remove(path):
                        not_removed.append((path, reason))
                    else:
                        count, size = count + 1, size + bytes_of
                for folder in sorted({cache.folder, *(path.parent for path in cache.files)}, reverse=True):
                    with suppress(OSError):  # not empty
                        folder.rmdir()
        except UsageError as error:
            not_removed.append((cache.folder, str(error)))
        if count:
            removed.append(CacheFacts(cache.kind, cache.folder, count, size))
    return CacheReport(tuple(removed), True, tuple(not_removed))


def size_of(files: list[Path] | tuple[Path, ...]) -> int:
    """Total bytes; a file removed in the meantime counts as 0."""
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
    """The files in a folder, or one level below, whose names match; symbolic links never do."""
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
    """Removes a file; returns the reason if it cannot."""
    if file_locks.in_use(path):
        return "a running process uses it"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        return error.strerror or str(error)
    return None
