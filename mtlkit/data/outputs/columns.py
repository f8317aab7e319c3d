"""The columns of an output: vectors, the text, columns carried along from the input, and predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.embed import VectorType
from mtlkit.config.from_json import json_type
from mtlkit.errors import DataError, UsageError, shorten

Kind = Literal["string", "int", "float", "bool", "json"]
TEXT, VECTOR, SCALE = "text", "vector", "scale"
LARGEST_INT = 2**63
LEVELS = 127  # of int8 on either side of 0

Values: TypeAlias = Sequence[Any] | NDArray[Any]
Batch: TypeAlias = Mapping[str, Values]  # the values of each column, for consecutive rows


@dataclass(frozen=True)
class Column:
    """A column of an output. Values of kind `json` are written as JSON in files that have no nested values. Without a value, an
    `optional` column is left out of a row in jsonl."""

    name: str
    kind: Kind
    optional: bool = False


@dataclass(frozen=True)
class VectorColumn:
    """Vectors of `dim` numbers of a type, which `quantized` makes from float32."""

    dim: int
    type: VectorType = "float32"

    @property
    def width(self) -> int:
        """The number of values that are stored for a vector."""
        return -(-self.dim // 8) if self.type == "binary" else self.dim

    @property
    def scaled(self) -> bool:
        """Whether each vector is stored with a scale."""
        return self.type == "int8"

    @property
    def numpy_type(self) -> np.dtype[Any]:
        return np.dtype({"float32": "<f4", "float16": "<f2", "int8": "i1", "binary": "u1"}[self.type])


@dataclass(frozen=True)
class OutputRows:
    """Consecutive rows of an output, before they are laid out in columns.

    `texts` say what each row was made from, to recognize it on resume. `vectors` are (rows, dim) float32 if the output has
    vectors, and `values` are those of the layout's other columns for each row, if it has any.
    """

    texts: Sequence[str]
    vectors: NDArray[np.float32] | None = None
    values: Sequence[Sequence[Any]] | None = None


@dataclass(frozen=True)
class Layout:
    """The columns of an output, in their order: the text unless others are kept instead, `others`, and the vector."""

    with_text: bool
    others: tuple[Column, ...] = ()
    vector: VectorColumn | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns but the vector and its scale."""
        return (*([Column(TEXT, "string")] if self.with_text else []), *self.others)

    @property
    def names(self) -> tuple[str, ...]:
        vector = () if self.vector is None else (VECTOR, SCALE) if self.vector.scaled else (VECTOR,)
        return (*(column.name for column in self.columns), *vector)

    def batch(self, rows: OutputRows) -> Batch:
        """The values of every column."""
        batch: dict[str, Values] = {TEXT: rows.texts} if self.with_text else {}
        if self.others:
            columns = zip(*(rows.values or ()), strict=True) if rows.texts else [()] * len(self.others)
            batch.update((column.name, values) for column, values in zip(self.others, columns, strict=True))
        if self.vector is not None:
            assert rows.vectors is not None
            stored, scales = quantized(rows.vectors, self.vector.type)
            batch[VECTOR] = stored
            if scales is not None:
                batch[SCALE] = scales
        return batch


def quantized(vectors: NDArray[np.float32], kind: VectorType) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Vectors (N, dim) in a smaller type, and their scales (N,) for int8; each depends on its own vector alone.

    int8: round(vector / scale), where the largest number of a vector becomes 127 or -127. binary: a bit for each number, 1 if it
    is positive, packed into (N, ceil(dim / 8)) bytes as by `numpy.packbits`.
    """
    if kind == "float16":
        return vectors.astype("<f2"), None
    if kind == "int8":
        scales = np.abs(vectors).max(1, initial=0.0) / np.float32(LEVELS)
        rounded = np.rint(vectors / np.where(scales == 0, np.float32(1), scales)[:, None])
        return np.clip(rounded, -LEVELS, LEVELS).astype(np.int8), scales.astype("<f4")
    if kind == "binary":
        return np.packbits(vectors > 0, axis=1), None
    return vectors, None


def kind_of_values(values: Iterable[Any]) -> Kind:
    """The narrowest kind that all values have; None is of every kind."""
    kinds = {_kind_of(value) for value in values if value is not None}
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "json" if kinds else "string"


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -LARGEST_INT <= value < LARGEST_INT else "json"
    return "float" if isinstance(value, float) else "json" if isinstance(value, (dict, list)) else "string"


def as_kind(value: Any, column: Column, place: str) -> Any:
    """A value of the input as one of a column that is carried along. Raises DataError that names the place if it does not fit."""
    if value is None or column.kind == "json":
        return value
    kind = _kind_of(value)
    if kind == "string":
        value = value if isinstance(value, str) else str(value)  # a time, a decimal number
    if kind == column.kind:
        return value
    if column.kind == "float" and kind == "int":
        return float(value)
    raise DataError(
        f"{place}: column '{column.name}' holds {json_type(value)} ({shorten(str(value), 40)}), and the first rows hold "
        f"{column.kind} values; give all rows of a column that is kept the same type"
    )


def plain(value: Any, column: Column) -> Any:
    """A value for a file without nested values."""
    return value if value is None or column.kind != "json" else json.dumps(value, ensure_ascii=False, default=str)


def check_names(layout: Layout) -> None:
    """Raises UsageError if two columns have the same name."""
    names = layout.names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"the output would have two columns '{twice}'; rename that of the input, or leave it out of --keep")
