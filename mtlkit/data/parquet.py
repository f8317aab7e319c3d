"""Parquet files through pyarrow, and the names that `datasets` stores for the classes in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtlkit.config.plain import parse_object
from mtlkit.errors import DataError, listed

PARQUET_ROWS = 8192  # rows held at a time
PARQUET_BYTES = 1 << 20  # of a column read at a time; by its own defaults, pyarrow keeps all that it has read


@contextmanager
def parquet_file(path: Path) -> Iterator[Any]:
    """A pyarrow ParquetFile that holds little of the file, closed at the end. Raises DataError where it cannot be read.

    Of what its library raises for damaged files, much is no error of its own: OSError without a number, UnicodeError, KeyError.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, pre_buffer=False, buffer_size=PARQUET_BYTES) as file:
            if repeated := repeated_names(file.schema_arrow.names):
                raise DataError(f"{path}: column {listed(repeated)} is there twice")
            yield file
    except (pyarrow.ArrowException, OSError, ValueError, LookupError, ArithmeticError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{path}: not a readable parquet file ({reason})") from None


def class_columns(schema: Any) -> dict[str, list[str]]:
    """Raises ValueError where the description of the columns is no JSON."""
    described = parse_object((schema.metadata or {}).get(b"huggingface", b"{}"))
    info = described.get("info")
    features = info.get("features") if isinstance(info, dict) else None
    found = {}
    for name, kind in features.items() if isinstance(features, dict) else ():
        kind = kind.get("feature", kind) if isinstance(kind, dict) else None
        names = kind.get("names") if isinstance(kind, dict) else None
        if name in schema.names and names and isinstance(names, list) and all(isinstance(one, str) for one in names):
            found[name] = names
    return found


def class_names(value: int | list[int | None] | None, names: list[str]) -> Any:
    """The name of a class, or of each class in a list. -1 marks a row without a label, as in imdb's unsupervised split.

    Raises ValueError for a class that has no name.
    """
    if isinstance(value, list):
        return [class_names(number, names) for number in value]
    if value is None or (isinstance(value, int) and value < 0):
        return None
    if not isinstance(value, int) or value >= len(names):
        raise ValueError(f"class {value!r}, where {len(names)} have names")
    return names[value]


def repeated_names(names: Iterable[str]) -> list[str]:
    return sorted(name for name, times in Counter(names).items() if times > 1)
