"""Reads Parquet and Arrow files with pyarrow in bounded memory, with the class names that `datasets` stores in them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import parse_object
from mtlkit.config.shell import quoted
from mtlkit.data.formats.batch_sizes import bytes_per_row, size_of
from mtlkit.data.formats.bounded import BoundedFile
from mtlkit.data.formats.expansion import Expansion
from mtlkit.data.formats.files import DataFile, LocalFile
from mtlkit.data.sources.rows import BadRow, Row, placed
from mtlkit.errors import DataError, first_line, listed

BATCH_ROWS, BATCH_BYTES = 1024, 1 << 28  # in memory at a time
PARQUET_BYTES = 1 << 20  # buffer per column; by default pyarrow keeps everything it has read


def as_file(file: DataFile | Path) -> DataFile:
    return LocalFile(file) if isinstance(file, Path) else file


@contextmanager
def parquet_file(source: DataFile | Path) -> Iterator[Any]:
    """Opens a pyarrow ParquetFile that buffers little of the file. Raises DataError if it cannot be read."""
    from pyarrow import parquet

    file = as_file(source)
    with (
        _readable(file, "parquet"),
        file.open() as content,
        parquet.ParquetFile(BoundedFile(content, file.size()), pre_buffer=False, buffer_size=PARQUET_BYTES) as opened,
    ):
        _check_names(file, opened.schema_arrow.names)
        yield opened


@contextmanager
def _readable(file: DataFile, kind: str) -> Iterator[None]:
    """Turns errors about damaged files into DataError; pyarrow also raises OSError without errno, UnicodeError and KeyError."""
    import pyarrow

    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, ArithmeticError) as error:
        reason = first_line(error)
        raise DataError(f"{file}: not a readable {kind} file ({reason})") from None


def _check_names(file: DataFile, names: list[str]) -> None:
    if repeated := repeated_names(names):
        raise DataError(f"{file}: column {listed(repeated)} appears twice")


def parquet_batches(opened: Any, file: DataFile, columns: list[str] | None = None) -> Iterator[Any]:
    """Yields record batches that fit into memory with their dictionaries expanded. Raises DataError if they expand too much."""
    expansion = Expansion(file)
    for group in range(opened.metadata.num_row_groups):
        row_bytes = bytes_per_row(opened.metadata.row_group(group), file)
        rows = int(max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, row_bytes))))
        for batch in opened.iter_batches(batch_size=rows, row_groups=[group], columns=columns):
            expansion.add(size_of(batch))
            yield batch


def read_parquet(file: DataFile) -> Iterator[Row | BadRow]:
    """Reads the rows of a parquet file, numbered from 1."""
    with parquet_file(file) as opened:
        yield from _rows(parquet_batches(opened, file), opened.schema_arrow, file)


def read_arrow(file: DataFile) -> Iterator[Row | BadRow]:
    """Reads the rows of an Arrow IPC or Feather file or stream, including those of `save_to_disk` of `datasets`."""
    import pyarrow

    with _readable(file, "Arrow"), file.open() as content:
        magic = content.read(6)
        content.seek(0)
        bounded = BoundedFile(content, file.size())
        if magic.startswith(b"FEA1"):
            name = json.dumps(str(file), ensure_ascii=False)
            code = f"from pyarrow import feather; feather.write_feather(feather.read_table({name}), {name})"
            raise DataError(f"{file}: Feather version 1 is not supported; rewrite the file: python -c {quoted(code)}")
        if magic == b"ARROW1":
            opened = pyarrow.ipc.open_file(bounded)
            batches = map(opened.get_batch, range(opened.num_record_batches))
        else:
            batches = opened = pyarrow.ipc.open_stream(bounded)
        _check_names(file, opened.schema.names)
        yield from _rows(_slices(batches, file), opened.schema, file)


def _slices(batches: Iterable[Any], file: DataFile) -> Iterator[Any]:
    expansion = Expansion(file)
    for batch in batches:
        batch.validate(full=True)  # otherwise pyarrow follows invalid offsets in damaged files
        for start in range(0, len(batch), BATCH_ROWS):
            part = batch.slice(start, BATCH_ROWS)
            expansion.add(size_of(part))
            yield part


def _rows(batches: Iterable[Any], schema: Any, file: DataFile) -> Iterator[Row | BadRow]:
    """Yields rows, with class numbers replaced by the names that `datasets` stored in the schema."""
    names = class_columns(schema)
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            if not names:
                yield placed(row, file, number)
                continue
            try:
                named = {column: class_names(row[column], labels) for column, labels in names.items()}
            except ValueError as error:
                yield BadRow(f"{file}:{number}: {error}")
            else:
                yield placed(row | named, file, number)


def class_columns(schema: Any) -> dict[str, list[str]]:
    """Class names by column, from the metadata of `datasets`. Raises ValueError if that is invalid JSON."""
    metadata = parse_object((schema.metadata or {}).get(b"huggingface", b"{}"))
    info = metadata.get("info")
    features = info.get("features") if isinstance(info, dict) else None
    class_names_by_column = {}
    for name, kind in features.items() if isinstance(features, dict) else ():
        kind = kind.get("feature", kind) if isinstance(kind, dict) else None
        names = kind.get("names") if isinstance(kind, dict) else None
        if name in schema.names and names and isinstance(names, list) and all(isinstance(label, str) for label in names):
            class_names_by_column[name] = names
    return class_names_by_column


def class_names(value: int | list[int | None] | None, names: list[str]) -> Any:
    """The name of a class, or of each class in a list; None for -1, which marks an unlabelled row.

    Raises ValueError for a class without a name.
    """
    if isinstance(value, list) and len(value) == len(names) > 2 and all(mark in (0, 1) for mark in value):
        return dict(zip(names, value, strict=True))  # multi-hot; a list of class numbers would not repeat 0 or 1
    if isinstance(value, list):
        return [class_names(number, names) for number in value]
    if value is None or (isinstance(value, int) and value < 0):
        return None
    if not isinstance(value, int) or value >= len(names):
        raise ValueError(f"class {value!r} has no name; the file names {len(names)} classes")
    return names[value]


def repeated_names(names: Sequence[str]) -> list[str]:
    if len(set(names)) == len(names):
        return []
    return sorted(name for name, times in Counter(names).items() if times > 1)
