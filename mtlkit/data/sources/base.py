"""Base classes of sources: named splits of rows, and a record of how they are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import ClassVar

from mtlkit.config.registries.registry import Registry
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.dialect import Dialect
from mtlkit.data.formats.files import DataFile
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.readers import describe, read
from mtlkit.data.sources.rows import BadRow, Row, with_nested
from mtlkit.data.sources.splits import SPLIT_OF_WORD, SPLITS, SplitFiles
from mtlkit.errors import DataError, listed


class Source:
    """Named splits of rows. `name` is its name in messages and reports."""

    name: str
    previewed: ClassVar[bool] = True  # opened before the work begins, to report a wrong column at once: quick, and not used up
    not_a_table: ClassVar[str] = ""  # why it cannot be an --input, which is one table

    @property
    def single_file(self) -> str | None:
        """The file name of a source that is one file without splits, which `eval` uses whole; else None."""
        return None

    def splits(self) -> list[str]:
        raise NotImplementedError

    def rows(self, split: str, encoding: str | None) -> Iterator[Row | BadRow]:
        raise NotImplementedError

    def record(self, encoding: str | None) -> SourceRecord:
        """How the files are read."""
        return SourceRecord(self.name)


@dataclass(frozen=True)
class FilesSource(Source):
    """Rows of files. `dialect` holds the user's options; `columns` are the requested columns, which may be dotted names."""

    dialect: Dialect = Dialect()
    columns: tuple[str, ...] = ()

    def grouped(self) -> SplitFiles:
        raise NotImplementedError

    def splits(self) -> list[str]:
        return sorted(self.grouped().all())

    def rows(self, split: str, encoding: str | None) -> Iterator[Row | BadRow]:
        files = self.grouped().all()[split]
        rows = chain.from_iterable(read(file, encoding, self.dialect) for file in files)
        return iter(with_nested(rows, self.columns, self.name))

    def record(self, encoding: str | None) -> SourceRecord:
        """How the first file is read; the same rules apply to the others."""
        grouped = self.grouped()
        splits = {split: grouped.splits[split] for split in SPLITS if split in grouped.splits}
        first = next(chain.from_iterable((splits or grouped.others).values()))
        names = {split: tuple(self.short_name(file) for file in files) for split, files in splits.items()}
        record, remarks = describe(first, encoding, self.dialect)
        return replace(record, source=self.name, files=names, remarks=(*remarks, *self._unused_files(grouped)))

    def _unused_files(self, grouped: SplitFiles) -> list[str]:
        """A remark on the files that do not belong to a split."""
        if not (grouped.others and grouped.named):
            return []
        names = [self.short_name(file) for files in grouped.others.values() for file in files]
        return [f"{self.name}: not used: {listed(names)}; to train on one, specify split={next(iter(grouped.others))}"]

    def short_name(self, file: DataFile) -> str:
        """The name of the file relative to the source."""
        return str(file).removeprefix(self.name).lstrip("/\\") or file.file_name


class SourceType(ABC):
    """A kind of address, such as sample:NAME. An address belongs to the first type that `matches` it, in the order of `rank`.
    `form` shows users such an address."""

    name: ClassVar[str]
    form: ClassVar[str]
    help: ClassVar[str]
    rank: ClassVar[int]

    @abstractmethod
    def matches(self, address: str) -> bool: ...

    @abstractmethod
    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        """The source at an address. Options that the query leaves open are those of a model's data, if `recorded`. Raises
        DataError and UsageError."""

    def files(self, address: str) -> list[str]:
        """The local files and folders that an address names, whether they exist or not."""
        return []


SOURCES: Registry[SourceType] = Registry("source", "mtlkit.data.sources")


def query_columns(query: Query) -> tuple[str, ...]:
    """The column names in a query, including those joined by '+'."""
    several = [*(query.negatives or "").split(","), *(query.pair or "").split(",")]
    own = (query.text, query.label, query.first, query.second, query.tokens, query.tags, query.spans)
    return tuple(name for name in (*own, *several) if name)


def query_dialect(query: Query, recorded: Sequence[SourceRecord] = ()) -> Dialect:
    return Dialect(query.format, query.delimiter, query.quoting, query.header, tuple(recorded))


def find_split(source: Source, wanted: str) -> str | None:
    """The source's own name of a split (`dev` for `validation`); None if it has no such split."""
    names = source.splits()
    if wanted in names:
        return wanted
    words = SPLITS.get(SPLIT_OF_WORD.get(wanted.lower(), ""), (wanted.lower(),))
    lowered = {name.lower(): name for name in reversed(names)}
    return next((lowered[word] for word in words if word in lowered), None)


def existing_split(source: Source, wanted: str, advice: str = "") -> str:
    """The source's own name of a split. Raises DataError, ending in `advice`, if it has no such split."""
    split = find_split(source, wanted)
    if split is None:
        advice = advice or f"; specify split={source.splits()[0]} to read another one"
        raise DataError(f"{source.name}: no split '{wanted}'; splits: {listed(source.splits())}{advice}")
    return split
