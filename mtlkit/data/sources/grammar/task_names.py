"""Parses tasks: `NAME=SOURCE`, or `SOURCE?labels=...`, which makes a task of each label column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mtlkit.config.architecture import check_task_name
from mtlkit.data.sources.grammar.label_keys import LabelColumn
from mtlkit.data.sources.grammar.spec import parse_source, split_source
from mtlkit.errors import UsageError, suggest

ESCAPED = {mark: f"%{ord(mark):02X}" for mark in "%&,=?"}  # in the value of a key


def parse_task(text: str, option: str = "--task") -> tuple[str, str]:
    """`NAME=SOURCE` -> name and source. Raises UsageError."""
    name, equals, source = text.partition("=")
    if not equals or "?" in name or ":" in name:
        raise UsageError(
            f"{option} {text!r} has no name; use {option} NAME=SOURCE, such as topic=sample:topic, or name label columns: "
            f"SOURCE?labels=a,b{'' if '?' in text else suggest(text, (), option)}"
        )
    if not source:
        raise UsageError(f"{option} {text!r} has no source after '='; use {option} NAME=SOURCE")
    if "," in name:
        raise UsageError(f"{option} {text!r} names several tasks{suggest(name, (), option)}, with a source for each")
    name, query = check_task_name(name), parse_source(source)[1]
    if query.labels and query.label is None:
        column = query.labels[0].name
        raise UsageError(
            f"{option} {text!r}: labels= names a task after each column; omit '{name}=', or rename one: "
            f"labels={column}:{name}{',...' if len(query.labels) > 1 else ''}"
        )
    return name, source


def parse_tasks(text: str, option: str = "--task") -> list[tuple[str, str]]:
    """The tasks of one `--task`, each with its source; `label` says which column of a source with `labels` a task has.

    Raises UsageError.
    """
    name = text.partition("=")[0]
    if ("?" in name or ":" in name) and has_labels(text):
        return list(_of_columns(text, option))
    return [parse_task(text, option)]


def has_labels(source: str) -> bool:
    """Whether a source has several label columns."""
    return any(key == "labels" for key, _ in split_source(source)[1])


def _of_columns(source: str, option: str) -> Iterator[tuple[str, str]]:
    """A task for each label column of a source, or for the one that it chooses already."""
    query = parse_source(source)[1]
    for column in query.labels:
        if query.label in (None, column.name):
            _check_name(column, source, option)
            yield column.task, source if query.label else with_label(source, column.name)


def _check_name(column: LabelColumn, source: str, option: str) -> None:
    try:
        check_task_name(column.task)
    except UsageError as error:
        way = "" if column.task != column.name else f"; give column '{column.name}' a name: labels={column.name}:NAME"
        raise UsageError(f"{option} {source!r}: {error}{way}") from None


def with_label(source: str, column: str) -> str:
    """The source with a key that chooses one of its label columns."""
    value = "".join(ESCAPED.get(letter, letter) for letter in column)
    address = split_source(source)[0]
    return f"{source}{'&' if source[len(address) :].startswith('?') else ','}label={value}"


def table_of(name: str, source: str) -> str:
    """What identifies the rows of a task: the same for label columns of one table, its own name for another task."""
    address, query = parse_source(source)
    return f"{address} {query.table!r}" if query.labels else name


def named_sources(tasks: Sequence[str]) -> dict[str, str]:
    """`["topic=sample:topic"]` -> {"topic": "sample:topic"}. Raises UsageError, also for invalid keys."""
    sources: dict[str, str] = {}
    for text in tasks:
        for name, source in parse_tasks(text):
            if name in sources:
                way = "rename the column: labels=COLUMN:NAME" if has_labels(source) else ""
                raise UsageError(f"task '{name}' is repeated; {way or 'give each --task its own name'}")
            sources[name] = source
    if not sources:
        raise UsageError("no task given; add --task NAME=SOURCE")
    return sources
