"""The texts of one file, a column of it, as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from mtlkit.data.columns import join_text, text_columns
from mtlkit.data.parquet import PARQUET_ROWS, parquet_file
from mtlkit.data.readers import BadRow, read
from mtlkit.errors import DataError

WAY = "say --column NAME"


def read_column(path: Path, column: str | None, encoding: str) -> Iterator[str]:
    """The texts of a file, in the order of its rows; several columns joined. Raises DataError."""
    if not path.is_file():
        raise DataError(f"{path}: {'a folder; name a file' if path.is_dir() else 'no such file'}")
    lots = _parquet_lots(path, column) if path.suffix.lower() == ".parquet" else None
    return chain.from_iterable(lots) if lots is not None else _texts_of_rows(path, column, encoding)


def count_rows(path: Path) -> int | None:
    """How many rows a file has, where it says so itself."""
    if path.suffix.lower() != ".parquet":
        return None
    with parquet_file(path) as file:
        rows: int = file.metadata.num_rows
        return rows


def _texts_of_rows(path: Path, column: str | None, encoding: str) -> Iterator[str]:
    columns: list[str] = []
    for number, row in enumerate(read(path, encoding), 1):
        if isinstance(row, BadRow):  # never skipped, so that rows keep their places
            raise DataError(row.reason)
        columns = columns or text_columns(list(row), column, str(path), WAY)
        text = join_text(row, columns)
        if text is None:
            raise _no_text(path, number, columns)
        yield text
    if not columns:
        raise _no_rows(path)


def _parquet_lots(path: Path, column: str | None) -> Iterator[list[str]] | None:
    """Lists of texts, of nothing but the columns asked for; None where these hold something other than plain text."""
    import pyarrow

    with parquet_file(path) as file:
        schema = file.schema_arrow
        if not file.metadata.num_rows:
            raise _no_rows(path)
    columns = text_columns(schema.names, column, str(path), WAY)
    plain = (pyarrow.string(), pyarrow.large_string())
    return _read_lots(path, columns) if all(schema.field(name).type in plain for name in columns) else None


def _read_lots(path: Path, columns: list[str]) -> Iterator[list[str]]:
    rows = 0
    with parquet_file(path) as file:
        for lot in file.iter_batches(batch_size=PARQUET_ROWS, columns=columns):
            values: Sequence[list[Any]] = [lot.column(name).to_pylist() for name in columns]
            if any(lot.column(name).null_count for name in columns):
                first = min(value.index(None) for value in values if None in value)
                raise _no_text(path, rows + first + 1, columns)
            yield values[0] if len(values) == 1 else [" ".join(texts) for texts in zip(*values, strict=True)]
            rows += len(lot)


def _no_text(path: Path, number: int, columns: list[str]) -> DataError:
    return DataError(f"{path}: row {number} has no text in column '{'+'.join(columns)}'")


def _no_rows(path: Path) -> DataError:
    return DataError(f"{path}: no rows; give a file with a header and rows")
