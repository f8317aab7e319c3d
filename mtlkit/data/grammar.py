"""How a source and a task are written: `NAME=SOURCE[?key=value&...]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote

from mtlkit.config.architecture import check_task_name
from mtlkit.config.numbers import whole
from mtlkit.errors import UsageError, listed, shorten, suggest


@dataclass(frozen=True)
class Query:
    """The `?key=value` part of a source.

    `text` may join columns with `+`; `first` and `second` are the columns of a pair; `split` names the split to train on;
    `config` is a hub data set's configuration; `kind` overrules what the labels look like.
    """

    text: str | None = None
    label: str | None = None
    first: str | None = None
    second: str | None = None
    split: str = "train"
    config: str | None = None
    limit: int | None = None
    encoding: str | None = None
    kind: str | None = None


def parse_source(text: str) -> tuple[str, Query]:
    """`data/train.csv?label=stars&limit=100` -> its address and its query. Raises UsageError for an unknown key."""
    address, _, query = text.partition("?")
    known = [field.name for field in fields(Query)]
    values: dict[str, Any] = {}
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        if key not in known:
            raise UsageError(f"key {key!r} in {text!r} is not one of {listed(known)}{suggest(key, known)}")
        values[key] = unquote(value)
    if "limit" in values:
        limit = whole(values["limit"], 1)
        if limit is None:
            raise UsageError(f"limit={shorten(values['limit'])!r} in {shorten(text)!r} is not a number of rows")
        values["limit"] = limit
    kinds = ("classification", "multi-label", "regression")
    if values.get("kind", kinds[0]) not in kinds:
        raise UsageError(f"kind={values['kind']!r} in {text!r} is not one of {listed(kinds)}")
    return address, Query(**values)


def parse_task(text: str, option: str = "--task") -> tuple[str, str]:
    """`NAME=SOURCE` -> name and source. Raises UsageError."""
    name, equals, source = text.partition("=")
    if not equals or "?" in name:
        raise UsageError(f"{option} {text!r} has no name; write {option} NAME=SOURCE, such as topic=sample:topic")
    if not source:
        raise UsageError(f"{option} {text!r} has no source after '='; write {option} NAME=SOURCE")
    return check_task_name(name), source


def named_sources(tasks: Sequence[str]) -> dict[str, str]:
    """`["topic=sample:topic"]` -> {"topic": "sample:topic"}, with every query checked. Raises UsageError."""
    named: dict[str, str] = {}
    for text in tasks:
        name, source = parse_task(text)
        if name in named:
            raise UsageError(f"task '{name}' is given twice; each --task needs a name of its own")
        parse_source(source)
        named[name] = source
    if not named:
        raise UsageError("no task; give one with --task NAME=SOURCE")
    return named
