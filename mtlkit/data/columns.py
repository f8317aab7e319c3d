"""Which column holds the text and which the label."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mtlkit.data.rows import Row
from mtlkit.errors import DataError, listed, suggest

TEXT_NAMES = (
    "text",
    "sentence",
    "content",
    "review",
    "body",
    "document",
    "passage",
    "comment",
    "tweet",
    "question",
    "title",
)
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "topic",
    "sentiment",
    "rating",
    "stars",
    "score",
    "intent",
)

SCORE_NAMES = ("score", "similarity_score", "similarity", "relatedness_score", "label")
PAIR_NAMES = (
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("anchor", "positive"),
    ("question1", "question2"),
    ("question", "answer"),
    ("query", "answer"),
    ("query", "document"),
    ("query", "passage"),
    ("premise", "hypothesis"),
    ("title", "body"),
    ("first", "second"),
)


def text_columns(columns: list[str], asked: str | None, place: str, way: str = "say ?text=NAME") -> list[str]:
    """The columns whose texts are joined: those asked for (`title+body`), the usual one, or the only one there is.

    `way` tells the user how to ask, where that is not certain. Raises DataError.
    """
    if asked is not None:
        return [_existing(name, columns, place) for name in asked.split("+")]
    if len(columns) == 1:
        return columns
    return [_usual("text", TEXT_NAMES, columns, place, way)]


def label_column(columns: list[str], asked: str | None, place: str) -> str:
    """The column of the labels: the one asked for, or the usual one."""
    return _asked_or_usual("label", LABEL_NAMES, columns, asked, place)


def score_column(columns: list[str], asked: str | None, place: str) -> str:
    """The column of how alike two texts are: the one asked for, or the usual one."""
    return _asked_or_usual("score", SCORE_NAMES, columns, asked, place)


def _asked_or_usual(role: str, names: Iterable[str], columns: list[str], asked: str | None, place: str) -> str:
    if asked is not None:
        return _existing(asked, columns, place)
    return _usual(role, names, columns, place, "say ?label=NAME")


def pair_columns(columns: list[str], first: str | None, second: str | None, place: str) -> tuple[str, str]:
    """The two columns of a pair: those asked for, two usual names, or the only two there are. Raises DataError."""
    if first is not None or second is not None:
        if first is None or second is None:
            raise DataError(f"{place}: a pair has two columns; say both, ?first=NAME&second=NAME")
        return _existing(first, columns, place), _existing(second, columns, place)
    lowered = {column.lower(): column for column in reversed(columns)}
    for one, other in PAIR_NAMES:
        if one in lowered and other in lowered:
            return lowered[one], lowered[other]
    if len(columns) == 2 and not set(lowered) & set(LABEL_NAMES):
        return columns[0], columns[1]
    raise DataError(f"{place}: which two columns are a pair? columns: {listed(columns, 40)}; say ?first=NAME&second=NAME")


def _usual(role: str, names: Iterable[str], columns: list[str], place: str, way: str) -> str:
    lowered = {column.lower(): column for column in reversed(columns)}
    for name in names:
        if name in lowered:
            return lowered[name]
    raise DataError(f"{place}: which column is the {role}? columns: {listed(columns, 40)}; {way}")


def _existing(name: str, columns: list[str], place: str) -> str:
    if name not in columns:
        raise DataError(f"column '{name}' not found in {place}; columns: {listed(columns, 40)}{suggest(name, columns)}")
    return name


def join_text(row: Row, columns: list[str]) -> str | None:
    """The text of a row, or None where a column of it has no value."""
    values = [row.get(column) for column in columns]
    if any(value is None for value in values):
        return None
    return " ".join(str(value) for value in values)


def label_value(value: Any) -> str | float | tuple[str, ...] | None:
    """A label as the project knows it: a class name, a number, or several names. None where there is none, or one of several
    is missing."""
    if value is None or isinstance(value, (str, float)):
        return value
    if isinstance(value, (list, tuple)):
        return None if any(part is None for part in value) else tuple(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
