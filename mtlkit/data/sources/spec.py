"""How a source and a task are written: `NAME=SOURCE`, with keys as `SOURCE:key=value,...` or `SOURCE?key=value&...`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote

from mtlkit.config.architecture import Kind, check_task_name
from mtlkit.config.numbers import whole
from mtlkit.config.paths import expand
from mtlkit.config.task_kinds import KINDS
from mtlkit.errors import UsageError, listed, shorten, suggest

DELIMITERS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "\\t": "\t",
    "pipe": "|",
    "space": " ",
}  # by words, which no shell minds
KEYS = re.compile(r"[?:](?=[A-Za-z_]+=)")  # where the keys of a source may begin


@dataclass(frozen=True)
class Query:
    """The keys of a source.

    `text` may join columns with `+`; `first` and `second` are the columns of a pair; `split` names the split to train on;
    `config` is a hub data set's configuration; `kind` overrules what the labels look like. `sep` stands between the labels of one
    row, `names` are those of lists of 0 and 1; `strip` joins labels that differ only in blanks, `fold` those that differ only in
    case or Unicode form.
    """

    text: str | None = None
    label: str | None = None
    first: str | None = None
    second: str | None = None
    split: str = "train"
    config: str | None = None
    limit: int | None = None
    encoding: str | None = None
    kind: Kind | None = None
    sep: str | None = None
    names: tuple[str, ...] | None = None
    strip: bool | None = None
    fold: bool | None = None
    format: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None


def parse_source(text: str) -> tuple[str, Query]:
    """`data/train.csv:label=stars,limit=100` -> its address and its keys. Raises UsageError for an unknown key."""
    address, pairs = split_source(text)
    known = [field.name for field in fields(Query)]
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key not in known:
            raise UsageError(f"key {key!r} in {text!r} is not one of {listed(known)}{suggest(key, known)}")
        if key in values:
            raise UsageError(f"key {key!r} is given twice in {text!r}; remove one")
        values[key] = value
    if "limit" in values:
        limit = whole(values["limit"], 1)
        if limit is None:
            raise UsageError(f"limit={shorten(values['limit'])!r} in {shorten(text)!r} is not a number of rows")
        values["limit"] = limit
    if "kind" in values and values["kind"] not in KINDS:
        raise UsageError(f"kind={values['kind']!r} in {text!r} is not one of {listed(KINDS)}{suggest(values['kind'], KINDS)}")
    for key in set(values) & {"quoting", "header", "strip", "fold"}:
        if values[key] not in ("yes", "no"):
            raise UsageError(f"{key}={values[key]!r} in {text!r} is not one of yes, no")
        values[key] = values[key] == "yes"
    if "delimiter" in values:
        values["delimiter"] = DELIMITERS.get(values["delimiter"], values["delimiter"])
        if len(values["delimiter"]) != 1 or values["delimiter"] in '"\r\n':
            raise UsageError(
                f"delimiter={values['delimiter']!r} in {text!r} is not one character, nor one of {listed(DELIMITERS)}"
            )
    if "sep" in values:
        values["sep"] = DELIMITERS.get(values["sep"], values["sep"])
        if not values["sep"]:
            raise UsageError(f"sep= in {text!r} is empty; give what separates the labels of a row, such as sep=| or sep=pipe")
    if "names" in values:
        values["names"] = tuple(values["names"].split("," if "," in values["names"] else "+"))
        if "" in values["names"] or len(set(values["names"])) < len(values["names"]):
            raise UsageError(f"names= in {text!r} has an empty or a repeated name; write names=a,b,c")
    return address, Query(**values)


def split_source(text: str) -> tuple[str, list[tuple[str, str]]]:
    """An address and its keys with their values. What exists as a file or folder is an address, whatever is in its name."""
    starts = [found.start() for found in KEYS.finditer(text)]
    if "://" in text:  # whose own query is no business of ours
        known = {field.name for field in fields(Query)}
        starts = [place for place in starts if text[place + 1 :].partition("=")[0] in known]
    elif not starts and "?" in text:
        starts = [text.index("?")]
    ends = [len(text), *reversed(starts)]
    end = next((place for place in ends if exists(text[:place])), starts[0] if starts else len(text))
    address, mark, keys = text[:end], text[end : end + 1], text[end + 1 :]
    if mark == "?":
        pairs = [pair.partition("=") for pair in filter(None, keys.split("&"))]
        return address, [(key, unquote(value)) for key, _, value in pairs]
    # a comma that no key follows belongs to the value before it
    pairs = [pair.partition("=") for pair in re.split(r",(?=[A-Za-z_]+=)", keys) if pair]
    return address, [(key, unquote(value)) for key, _, value in pairs]


def exists(address: str) -> bool:
    """Whether there is a file or a folder of this name, or a link."""
    try:
        return bool(address) and os.path.lexists(expand(address))
    except (OSError, ValueError, UsageError):  # a name that no file can have, a user that is not known
        return False


def parse_task(text: str, option: str = "--task") -> tuple[str, str]:
    """`NAME=SOURCE` -> name and source. Raises UsageError."""
    name, equals, source = text.partition("=")
    if not equals or "?" in name or ":" in name:
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
