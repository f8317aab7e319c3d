"""Reads rows from standard input, the source `-`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, ClassVar

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.files import DataFile
from mtlkit.data.sources.base import SOURCES, FilesSource, Source, SourceType, query_columns, query_dialect
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.rows import BadRow, Row
from mtlkit.data.sources.splits import SplitFiles
from mtlkit.errors import DataError


class StandardInputFile:
    """Standard input as a file that can be opened once."""

    file_name = "-.txt"  # one text per line, unless a format is given

    def __init__(self) -> None:
        self._opened = False

    def __str__(self) -> str:
        return "standard input"

    def size(self) -> int:
        return sys.maxsize

    def open(self) -> IO[bytes]:
        if self._opened or sys.stdin is None or sys.stdin.closed:
            raise DataError("standard input can be read only once; save it to a file and give the file")
        self._opened = True
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")


@dataclass(frozen=True)
class StandardInput(FilesSource):
    """Standard input as a single split, `train`; the format is the key `format`, by default one text per line."""

    name: str = "standard input"
    previewed: ClassVar[bool] = False
    file: DataFile = field(default_factory=StandardInputFile, compare=False)

    def grouped(self) -> SplitFiles:
        return SplitFiles({"train": [self.file]})

    def rows(self, split: str, encoding: str | None) -> Iterator[Row | BadRow]:
        return super().rows(split, encoding or "utf-8")  # detecting it would consume the input

    def record(self, encoding: str | None) -> SourceRecord:
        return SourceRecord("-", format=self.dialect.format or "txt", encoding=encoding or "utf-8")


class StandardInputType(SourceType):
    name = "stdin"
    form = "-"
    help = "Standard input: a text a line, or format=csv and the like."
    rank = 20

    def matches(self, address: str) -> bool:
        return address == "-"

    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        return StandardInput(query_dialect(query, recorded), query_columns(query))


SOURCES.add(StandardInputType())
