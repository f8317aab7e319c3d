"""Data sets of the Hugging Face hub, or its local cache, read with `datasets`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.files import split_suffix
from mtlkit.data.formats.unsupported import BY_HAND, BY_PANDAS
from mtlkit.data.sources.base import SOURCES, Source, SourceType, query_columns
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.hub import hub_answers, is_network_fault, local_only, quiet, unreachable
from mtlkit.data.sources.parquet import class_names
from mtlkit.data.sources.readers import READERS
from mtlkit.data.sources.rows import BadRow, Row, with_nested
from mtlkit.errors import DataError, NetworkError, first_line

HUB_ID = re.compile(r"(?!.*\.\.)\w[\w.-]*(/\w[\w.-]*)?")
SHORT_NAMES = {"ag_news": "fancyzhx/ag_news", "imdb": "stanfordnlp/imdb"}


@dataclass(frozen=True)
class HubSource(Source):
    """A data set by its hub id."""

    name: str
    config: str | None
    columns: tuple[str, ...] = ()
    previewed: ClassVar[bool] = False
    not_a_table: ClassVar[str] = "no such file"

    def _load(self, call: str, *args: Any, **options: Any) -> Any:
        import datasets
        from datasets.exceptions import DatasetNotFoundError

        datasets.disable_progress_bars()
        quiet()
        try:
            with nullcontext() if hub_answers() else local_only():  # avoids a minute of retries
                return getattr(datasets, call)(self.name, self.config, *args, **options)
        except Exception as error:  # the libraries share no base class for network errors
            reason = first_line(error)
            if is_network_fault(error) or (isinstance(error, FileNotFoundError) and not hub_answers()):
                raise NetworkError(f"{self.name}: {unreachable('a local file', reason)}") from None
            if isinstance(error, DatasetNotFoundError):
                raise DataError(f"{self.name}: no such file, folder or Hugging Face data set") from None
            if isinstance(error, (ValueError, FileNotFoundError)):
                raise DataError(f"{self.name}: {reason}") from None
            raise

    def splits(self) -> list[str]:
        return list(self._load("get_dataset_split_names"))

    def rows(self, split: str, encoding: str | None) -> Iterator[Row | BadRow]:
        return iter(with_nested(self._rows(split), self.columns, self.name))

    def _rows(self, split: str) -> Iterator[Row | BadRow]:
        data = self._load("load_dataset", split=split)
        kinds = {name: getattr(kind, "feature", kind) for name, kind in data.features.items()}
        names = {name: kind.names for name, kind in kinds.items() if hasattr(kind, "names")}
        for number, row in enumerate(data, 1):
            try:
                yield row | {column: class_names(row[column], labels) for column, labels in names.items()}
            except ValueError as error:
                yield BadRow(f"{self.name}: row {number}: {error}")


class HubType(SourceType):
    name = "hub"
    form = "USER/NAME"
    help = "A data set of the Hugging Face hub by its id; also ag_news and imdb."
    rank = 50

    def matches(self, address: str) -> bool:
        return HUB_ID.fullmatch(address) is not None and split_suffix(address)[0] not in (*READERS, *BY_HAND, *BY_PANDAS)

    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        return HubSource(SHORT_NAMES.get(address, address), query.config, query_columns(query))

    def files(self, address: str) -> list[str]:
        return [address]  # a path looks the same


SOURCES.add(HubType())
