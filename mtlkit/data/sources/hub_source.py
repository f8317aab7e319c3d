"""Data sets of the Hugging Face hub, or of its local cache, through `datasets`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from mtlkit.data.sources.base import Source
from mtlkit.data.sources.hub import hub_answers, is_network_fault, local_only, quiet, unreachable
from mtlkit.data.sources.parquet import class_names
from mtlkit.data.sources.rows import BadRow, Row, with_nested
from mtlkit.errors import DataError, NetworkError, first_line


@dataclass(frozen=True)
class HubSource(Source):
    """A data set by its id."""

    name: str
    config: str | None
    columns: tuple[str, ...] = ()

    def _load(self, call: str, *args: Any, **options: Any) -> Any:
        import datasets
        from datasets.exceptions import DatasetNotFoundError

        datasets.disable_progress_bars()
        quiet()
        try:
            with nullcontext() if hub_answers() else local_only():  # the cache at once, instead of a minute of retries
                return getattr(datasets, call)(self.name, self.config, *args, **options)
        except Exception as error:  # its libraries share no class for what the network does
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
