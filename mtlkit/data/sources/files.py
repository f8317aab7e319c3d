"""Sources of local files: a file, a folder, or the files that match a pattern."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mtlkit.config.from_json import parse_object
from mtlkit.config.paths import expand
from mtlkit.config.small_files import Unreadable, read_file
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.files import DataFile, LocalFile
from mtlkit.data.sources.base import SOURCES, FilesSource, Source, SourceType, query_columns, query_dialect
from mtlkit.data.sources.grammar.spec import Query, exists
from mtlkit.data.sources.readers import READERS, is_data
from mtlkit.data.sources.splits import SplitFiles, group, splits_named
from mtlkit.errors import DataError, listed

DEEPEST = 4  # levels of subfolders to search
SIDECARS = ("dataset_info.json", "state.json", "dataset_dict.json")  # written by `save_to_disk`


@dataclass(frozen=True)
class FileSource(FilesSource):
    """One file with a single split, `train`."""

    path: Path = field(kw_only=True)

    @property
    def name(self) -> str:  # type: ignore[override]
        return str(self.path)

    @property
    def single_file(self) -> str:
        return self.path.name

    def grouped(self) -> SplitFiles:
        return SplitFiles({"train": [LocalFile(self.path)]})


@dataclass(frozen=True)
class FolderSource(FilesSource):
    """A folder with a file per split (train.csv, news_dev.jsonl, test-00000-of-00002.parquet) or a folder per split (train/,
    test/); also a data set saved by `save_to_disk` of `datasets`."""

    path: Path = field(kw_only=True)
    name: str = field(kw_only=True)
    not_a_table: ClassVar[str] = "a folder; name a file"

    def grouped(self) -> SplitFiles:
        files = list(_files_below(self.path, ()))
        if not files:
            raise DataError(f"{self.name}: no {listed(READERS, len(READERS))} file in this folder")
        return group([(folders, LocalFile(path)) for folders, path in files], self.name)

    def short_name(self, file: DataFile) -> str:
        return str(Path(str(file)).relative_to(self.path))


def _files_below(folder: Path, folders: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Path]]:
    """The data files of a folder and of its subfolders named like splits; of all subfolders if it has no files itself."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "_")))
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from None
    own = [entry for entry in entries if is_data(entry.name) and entry.name not in SIDECARS and not entry.is_dir()]
    if shards := _saved_shards(folder):
        own = [entry for entry in own if entry.name in shards]
    yield from ((folders, path) for path in own)
    if len(folders) < DEEPEST:
        for entry in entries:
            if (not own or splits_named(entry.name)) and entry.is_dir():
                yield from _files_below(entry, (*folders, entry.name))


def files_in(folder: Path) -> list[Path]:
    """All data files in a folder and its subfolders, sorted by name; of a data set saved by `datasets`, those with rows."""
    if shards := _saved_shards(folder):
        return [folder / name for name in sorted(shards)]
    paths = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        shown = (name for name in names if not name.startswith((".", "_")) and name not in SIDECARS)
        paths += [Path(parent) / name for name in shown if is_data(name)]
    return sorted(paths)


def _saved_shards(folder: Path) -> set[str]:
    """The files of a data set saved by `datasets`, according to state.json; its other files are caches."""
    try:
        state = parse_object(read_file(folder / "state.json"))
        return {shard["filename"] for shard in state["_data_files"]}
    except (Unreadable, ValueError, LookupError, TypeError):
        return set()


def matches(pattern: str) -> list[Path]:
    """The files that match a pattern, sorted by name."""
    paths = sorted(glob.glob(str(expand(pattern)), recursive=True))
    return [Path(path) for path in paths if Path(path).is_file()]


@dataclass(frozen=True)
class PatternSource(FilesSource):
    """The files that match a pattern such as data/*.csv."""

    name: str = field(kw_only=True)

    def grouped(self) -> SplitFiles:
        files = matches(self.name)
        if not files:
            raise DataError(f"{self.name}: no file matches")
        root = Path(os.path.commonpath([path.parent for path in files]))
        return group([(path.parent.relative_to(root).parts, LocalFile(path)) for path in files], self.name)

    def short_name(self, file: DataFile) -> str:
        return str(file)


class PathType(SourceType):
    name = "path"
    form = "PATH"
    help = "A file, or a folder with a file or folder for each split."
    rank = 0  # what exists is that, whatever its name looks like

    def matches(self, address: str) -> bool:
        return exists(address)

    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        dialect, columns, path = query_dialect(query, recorded), query_columns(query), expand(address)
        if path.is_dir():
            return FolderSource(dialect, columns, path=path, name=address)
        return FileSource(dialect, columns, path=path)

    def files(self, address: str) -> list[str]:
        return [address]


SOURCES.add(PathType())


class PatternType(SourceType):
    name = "pattern"
    form = "'DIR/*.csv'"
    help = "All files that match."
    rank = 40

    def matches(self, address: str) -> bool:
        return any(mark in address for mark in "*[")

    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        return PatternSource(query_dialect(query, recorded), query_columns(query), name=address)

    def files(self, address: str) -> list[str]:
        return [str(path) for path in matches(address)]


SOURCES.add(PatternType())
