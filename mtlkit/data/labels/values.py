"""Converts a value of a table to a text or a label: class name, number, several names or multi-hot labels."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, isnan
from typing import Any
from uuid import UUID

from mtlkit.errors import listed, shorten

PLAIN = (int, float, bool, Decimal, datetime.date, datetime.time, datetime.timedelta, UUID)
NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*")
WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0*")  # 1.0, but not 01
SHOWN = 40  # characters of a value in an error


@dataclass(frozen=True)
class MultiHotLabels:
    """A list of 0 and 1 that marks a row's labels by position; `written` is the original spelling if it was text."""

    marks: tuple[bool, ...]
    written: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.marks)

    @property
    def classes(self) -> tuple[str, ...]:
        """The values read as class numbers."""
        return self.written or tuple(str(int(mark)) for mark in self.marks)


def text_value(value: Any, column: str = "COLUMN") -> str | None:
    """A value as text; None if it is missing. Raises ValueError, describing the value, if it is not text."""
    if isinstance(value, str):
        return value
    if _missing(value):
        return None
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, PLAIN):
        return str(value)
    raise ValueError(f"{_describe(value)} instead of text; {_advice(value, 'text', column)}")


def label_value(value: Any, column: str = "COLUMN") -> str | float | tuple[str, ...] | MultiHotLabels | None:
    """A value as label: a class name, a number, several names or multi-hot labels; None if it is missing.

    A list with a missing item is missing. Raises ValueError, describing the value, if it is not a label.
    """
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if _missing(value):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (float, Decimal)):
        return float(value) if isfinite(value) else None
    if isinstance(value, bytes):
        return label_value(_decoded(value))
    if isinstance(value, PLAIN):
        return str(value)
    if isinstance(value, Mapping):
        return _marked(value, column)
    if isinstance(value, frozenset):
        names = _several(list(value), column)
        return tuple(sorted(names.classes if isinstance(names, MultiHotLabels) else names)) if names is not None else None
    if isinstance(items := _items(value), list):
        return _several(items, column)
    raise ValueError(f"{_describe(value)} instead of a label; {_advice(value, 'label', column)}")


def mark_of(value: Any) -> bool | None:
    """True for 1 and False for 0, in any spelling of numbers and booleans; None for other values."""
    if isinstance(value, str):
        return {"0": False, "1": True, "false": False, "true": True}.get(canonical(value))
    if isinstance(value, (bool, int, float, Decimal)) and value in (0, 1):
        return bool(value)
    return None


def class_name(label: str | float) -> str:
    """The class name of a label; whole numbers of any type have one spelling."""
    if isinstance(label, float):
        return str(int(label)) if label.is_integer() and abs(label) < 1e15 else str(label)
    return label


def canonical(name: str) -> str:
    """One spelling for booleans and whole numbers: `True` is `true`, `1.0` is `1`. Other names are unchanged."""
    plain = name.strip()
    if plain.lower() in ("true", "false"):
        return plain.lower()
    whole = WHOLE.fullmatch(plain)
    return whole[1] if whole else name


def number_of(label: str | float) -> float | None:
    """The label as a number if it is one or the decimal spelling of one; else None."""
    if isinstance(label, float):
        return label
    return float(label) if NUMBER.fullmatch(label) else None


def number_or_none(label: object) -> float | None:
    """The label as a finite number, in any spelling that Python reads; else None."""
    try:
        number = float(label)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def split_marks(parts: list[str]) -> MultiHotLabels | list[str]:
    """The parts of a text as multi-hot labels if each is 0 or 1; else unchanged."""
    marks = [mark for part in parts if (mark := mark_of(part)) is not None]
    return MultiHotLabels(tuple(marks), tuple(parts)) if parts and len(marks) == len(parts) else parts


def shown(value: Any) -> str:
    """A value for an error message, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def quoted(names: Iterable[str]) -> str:
    """The first few names, quoted."""
    return listed([f"'{shorten(name, SHOWN)}'" for name in names])


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value)) or (isinstance(value, Decimal) and value.is_nan())


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"bytes that are not UTF-8 (byte {error.start}); decode the column first") from None


def _items(value: Any) -> list[Any] | None:
    if isinstance(value, (list, tuple)):
        return list(value)
    return value.tolist() if type(value).__name__ == "ndarray" else None


def _several(items: list[Any], column: str) -> tuple[str, ...] | MultiHotLabels | None:
    if items and all(not isinstance(item, str) and mark_of(item) is not None for item in items):
        return MultiHotLabels(tuple(bool(item) for item in items))
    if all(isinstance(item, str) for item in items) and isinstance(marks := split_marks(items), MultiHotLabels):
        return marks
    names = []
    for item in items:
        if isinstance(item, Mapping) or _items(item) is not None:
            raise ValueError(f"a list that contains {_describe(item)}; {_advice(item, 'label', column)}")
        name = label_value(item)
        if name is None:
            return None
        if isinstance(name, float) and not name.is_integer():
            raise ValueError(f"a list of scores ({shown(item)}); labels are lists of names, or of 0 and 1")
        assert isinstance(name, (str, float))
        names.append(class_name(name))
    return tuple(names)


def _marked(value: Mapping[Any, Any], column: str) -> tuple[str, ...]:
    """The names whose value is 1."""
    names = []
    for name, item in value.items():
        mark = mark_of(item)
        if mark is None and (item is None or isinstance(item, (int, float, Decimal))):
            raise ValueError(f"{shown(item)} for '{name}', which is neither 0 nor 1")
        if mark is None:
            raise ValueError(f"{_describe(value)} instead of a label; {_advice(value, 'label', column)}")
        if mark:
            names.append(str(name))
    return tuple(names)


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"an object ({shown(value)})"
    return f"a list ({shown(value)})" if _items(value) is not None else f"{type(value).__name__} ({shown(value)})"


def _advice(value: Any, role: str, column: str) -> str:
    if isinstance(value, Mapping) and any(name.startswith("start") for name in map(str, value)):
        return f"for labels of words, specify ?spans={column}"
    if isinstance(value, Mapping):
        field = next((str(name) for name in value), "FIELD")
        return f"name one of its fields, such as ?{role}={column}.{field}, or make it a column"
    if role == "text" and _items(value) is not None:
        return "join its items to one string in the data"
    return "convert the column to text"
