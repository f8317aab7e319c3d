"""Rows as readers yield them: a dict with its place in the file, or a bad row with place and reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Literal

from mtlkit.errors import DataError, listed, suggest

Row = dict[str, Any]
OnBadRow = Literal["error", "skip"]
WAY_ON = re.compile(r"[;:] (give|keep|name|remove|specify|use) [^;]*$")  # at the end of a reason
FIRST_ROWS = 100  # rows to inspect for nested fields


class PlacedRow(dict[str, Any]):
    """A row with its place, such as `data/train.csv:12`: the line in a text file, the row number in other formats."""

    __slots__ = ("file", "number")
    file: object
    number: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"


def placed(values: Iterable[tuple[str, Any]] | Row, file: object, number: int) -> PlacedRow:
    """A row with its place."""
    row = PlacedRow(values)  # the constructor of dict: one in Python would cost more than copying the values
    row.file = file
    row.number = number
    return row


def place_of(row: Row, source: str, number: int) -> str:
    """The place of a row, or its number in the source if it has none."""
    return row.place if isinstance(row, PlacedRow) else f"{source}: row {number}"


@dataclass(frozen=True)
class BadRow:
    """A row that could not be read; `reason` includes its file and line."""

    reason: str


@dataclass
class SkippedRows:
    """Counts the rows that were skipped and keeps the first three reasons."""

    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str) -> None:
        self.skipped += 1
        if len(self.reasons) < 3:
            self.reasons.append(reason)

    def __str__(self) -> str:
        rows = "1 row" if self.skipped == 1 else f"{self.skipped:,} rows"
        return f"{rows} skipped, such as {self.reasons[0]}" if self.skipped else "no row skipped"


def good_rows(rows: Iterable[Row | BadRow], on_bad_row: OnBadRow, tally: SkippedRows) -> Iterator[Row]:
    """The valid rows. A bad row raises DataError, or with `skip` is counted in `tally`."""
    for row in rows:
        if isinstance(row, BadRow):
            if on_bad_row == "error":
                way_on = "" if WAY_ON.search(row.reason) else "; fix it"
                raise DataError(f"{row.reason}{way_on}, or skip such rows with --on-bad-row skip")
            tally.add(row.reason)
        else:
            yield row


def nested_value(row: Row, name: str) -> Any:
    """The value at a dotted name such as `meta.label`; None if it does not exist."""
    value: Any = row
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def with_nested(rows: Iterable[Row | BadRow], requested: Iterable[str | None], source: str) -> Iterable[Row | BadRow]:
    """The rows, with nested fields added under the requested dotted names such as `meta.label`.

    Raises DataError, listing the existing fields, if none of the first rows has a requested one.
    """
    names = {part for text in requested if text for part in (text, *text.split("+")) if "." in part}
    return rows if not names else _with_names(rows, names, source)


def _with_names(rows: Iterable[Row | BadRow], names: set[str], source: str) -> Iterator[Row | BadRow]:
    stream = iter(rows)
    first = list(islice(stream, FIRST_ROWS))
    for name in names:
        if "+" not in name:
            _check_field(name, [row for row in first if not isinstance(row, BadRow)], source)
    for row in chain(first, stream):
        if not isinstance(row, BadRow):
            for name in names:
                if name not in row and isinstance(row.get(name.partition(".")[0]), dict):
                    row[name] = nested_value(row, name)
        yield row


def _check_field(name: str, rows: list[Row], source: str) -> None:
    """Raises DataError if objects exist at the name up to a dot, but none has the field after it."""
    holder, _, rest = name.partition(".")
    if any(name in row for row in rows):
        return
    while rest:
        field, _, rest = rest.partition(".")
        objects = [value for row in rows if isinstance(value := nested_value(row, holder), dict)]
        if objects and not any(field in value for value in objects):
            fields = list(dict.fromkeys(str(key) for value in objects for key in value))
            known = f"fields: {listed(fields)}{suggest(field, fields)}"
            raise DataError(f"field '{field}' not found in column '{holder}' of {source}; {known}")
        holder = f"{holder}.{field}"
