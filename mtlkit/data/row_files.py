"""Writes rows of named values to csv, jsonl or parquet files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mtlkit.errors import UsageError, listed
from mtlkit.runs.atomic import atomic_file, saving

Record = Mapping[str, Any]


def _csv(file: BinaryIO, columns: Sequence[str], rows: Sequence[Record]) -> None:
    """Values that are neither text nor numbers are written as JSON; a missing one is an empty field."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(["" if row.get(name) is None else _plain(row[name]) for name in columns] for row in rows)
    file.write(text.getvalue().encode("utf-8", "backslashreplace"))


def _jsonl(file: BinaryIO, columns: Sequence[str], rows: Sequence[Record]) -> None:
    for row in rows:
        line = json.dumps({name: row[name] for name in columns if name in row}, ensure_ascii=False)
        file.write(line.encode("utf-8", "backslashreplace") + b"\n")


def _parquet(file: BinaryIO, columns: Sequence[str], rows: Sequence[Record]) -> None:
    """Writes a column as numbers if all its values are, else as text, as in csv."""
    import pyarrow
    from pyarrow import parquet

    table = {}
    for name in columns:
        values = [row.get(name) for row in rows]
        numeric = all(value is None or isinstance(value, float) for value in values)
        texts = [None if value is None else str(_plain(value)).encode("utf-8", "backslashreplace").decode() for value in values]
        table[name] = pyarrow.array(values, pyarrow.float64()) if numeric else pyarrow.array(texts, pyarrow.string())
    parquet.write_table(pyarrow.table(table), file, compression="zstd")


def _plain(value: Any) -> str | float | int:
    return value if isinstance(value, (str, float, int)) else json.dumps(value, ensure_ascii=False)


WRITERS: dict[str, Callable[[BinaryIO, Sequence[str], Sequence[Record]], None]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}


def check_suffix(path: Path, option: str) -> None:
    """Raises UsageError for an unknown suffix."""
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"{option} {path}: suffix {path.suffix!r} is not one of {listed(WRITERS)}")


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Record]) -> None:
    """Writes rows in the format of the suffix, to a temporary file that replaces `path`. Raises SavingError."""
    with saving(path), atomic_file(path.resolve()) as file:
        WRITERS[path.suffix.lower()](file, columns, rows)
