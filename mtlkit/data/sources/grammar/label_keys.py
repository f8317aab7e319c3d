"""Parses the keys of a source with several label columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mtlkit.data.sources.grammar.key_values import with_ordered_kind
from mtlkit.errors import UsageError, listed, suggest

PER_COLUMN = ("kind", "sep", "names", "order", "strip", "fold")  # keys that a column may have: `kind.stars=regression`


@dataclass(frozen=True)
class LabelColumn:
    """One of several label columns of a source (`a+b`: several with 0 or 1 each), the task that it makes, and how its labels are
    read, by key."""

    name: str
    task: str
    keys: Mapping[str, Any] = field(default_factory=dict)


def label_columns(
    value: str, common: Mapping[str, Any], of_columns: Mapping[str, Mapping[str, Any]], text: str
) -> tuple[LabelColumn, ...]:
    """`topic:subject,mood` -> the columns. `common` are keys for all of them, `of_columns` those for one. Raises UsageError."""
    columns: list[LabelColumn] = []
    for item in value.split(","):
        name, colon, task = item.partition(":")
        if not name or (colon and not task):
            raise UsageError(f"labels={value} in {text!r} has an empty name; use labels=a,b, or labels=a:name,b to rename a task")
        own = {key: common[key] for key in PER_COLUMN if key in common} | dict(of_columns.get(name, {}))
        columns.append(LabelColumn(name, task or name, with_ordered_kind(own, text)))
    for names, what in (([column.name for column in columns], "column"), ([column.task for column in columns], "task")):
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise UsageError(f"labels={value} in {text!r}: {what} '{repeated}' is given twice; remove one of them, or rename one")
    names = [column.name for column in columns]
    for column_name, keys in of_columns.items():
        if column_name not in names:
            key = f"{next(iter(keys))}.{column_name}"
            raise UsageError(
                f"key {key!r} in {text!r}: '{column_name}' is not one of its label columns; labels: {listed(names)}"
                f"{suggest(column_name, names)}"
            )
    return tuple(columns)


def chosen_column(label: str, columns: Sequence[LabelColumn], text: str) -> LabelColumn:
    """The column that `label` chooses. Raises UsageError."""
    names = [column.name for column in columns]
    if label not in names:
        raise UsageError(f"label={label} in {text!r} is not one of labels={','.join(names)}{suggest(label, names)}")
    return columns[names.index(label)]
