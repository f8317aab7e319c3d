"""The inputs of `embed` and `predict` as a list of tables: files, those in folders, those that match patterns, at URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mtlkit.data.formats.files import DataFile, LocalFile, stem_of
from mtlkit.data.sources import FileSource, FolderSource, PatternSource, RemoteSource, open_source
from mtlkit.data.sources.files import files_in, matches
from mtlkit.data.sources.grammar.spec import parse_source, split_source
from mtlkit.data.sources.readers import READERS
from mtlkit.data.sources.text_files import address_of
from mtlkit.errors import DataError, UsageError, listed


@dataclass(frozen=True)
class InputTable:
    """A table of an input: what opens it, with its keys; its name; and what finds its file, if it has one."""

    address: str
    name: str
    find: Callable[[], DataFile] | None = None

    def size(self) -> int | None:
        """The number of bytes; None if it is not known. Raises DataError, NetworkError."""
        try:
            return None if self.find is None else self.find().size() or None
        except OSError:  # reported when it is read
            return None

    @property
    def stem(self) -> str:
        """A short name for files that are made from it."""
        stem = stem_of(self.name.partition("?")[0].rstrip("/").replace("\\", "/").rpartition("/")[2])
        return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in stem)[:60].strip("-") or "input"


def input_tables(inputs: Sequence[str]) -> list[InputTable]:
    """The tables of all inputs in their order, sorted by name within each; what has no files is one table.

    Raises UsageError for a file that is given twice, DataError for an input that does not exist or has no files.
    """
    tables = [table for text in inputs for table in _tables(address_of(text))]
    names = [table.name for table in tables]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"--input {twice} is given twice; remove one")
    return tables


def _tables(text: str) -> Iterator[InputTable]:
    address, query = parse_source(text)
    if query.limit is not None:
        raise UsageError(f"--input {text}: limit is for training and evaluation, and here every row counts; remove it")
    keys = text[len(address) :]
    source = open_source(address, query)
    if isinstance(source, FileSource):
        yield InputTable(text, address, partial(LocalFile, source.path))
    elif _names_split(text):
        yield InputTable(text, text)
    elif isinstance(source, (FolderSource, PatternSource)):
        for path in _paths(source):
            yield InputTable(f"{path}{keys}", str(path), partial(LocalFile, path))
    elif isinstance(source, RemoteSource) and source.looks_like_file:  # no connection before it is read
        yield InputTable(text, address, lambda: source.files[0])
    elif isinstance(source, RemoteSource):
        for file in source.files:
            yield InputTable(f"{file.url}{keys}", file.url, partial(_same, file))
    else:
        yield InputTable(text, text)


def _same(file: DataFile) -> DataFile:
    return file


def _paths(source: FolderSource | PatternSource) -> list[Path]:
    if isinstance(source, PatternSource):
        paths = matches(source.name)
        if not paths:
            raise DataError(f"{source.name}: no file matches")
        return paths
    paths = files_in(source.path)
    if not paths:
        raise DataError(f"{source.name}: no {listed(READERS, len(READERS))} file in this folder")
    return paths


def _names_split(text: str) -> bool:
    """Whether an input names one of the splits of a source."""
    return any(key == "split" for key, _ in split_source(text)[1])
