"""Parses sources and tasks: `NAME=SOURCE`, with keys written as `SOURCE:key=value,...` or `SOURCE?key=value&...`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote

from mtlkit.config.architecture import Kind, PairHead, check_task_name
from mtlkit.config.option import whole
from mtlkit.config.paths import expand
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.data.sources.pair_keys import check_pair
from mtlkit.errors import UsageError, listed, shorten, suggest

DELIMITERS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "\\t": "\t",
    "pipe": "|",
    "space": " ",
}  # names that need no quoting in a shell
KEY = r"(?:[A-Za-z_]+|pair-head)="
KEYS = re.compile(rf"[?:](?={KEY})")  # where the keys of a source may start


@dataclass(frozen=True)
class Query:
    """The keys of a source.

    `text` may join columns with `+`; `first` and `second` are the columns of a pair, `negatives` those of its hard negatives,
    joined with `,`; `split` is the split to train on;
    `config` is the configuration of a hub data set; `kind` overrides the kind inferred from the labels. `sep` separates the
    labels of a row, `names` are the labels of 0/1 lists, `order` is that of ordinal labels, low to high; `strip` merges labels
    that differ only in white space, `fold` those that differ only in case or Unicode form. `pair` are the columns of the two
    texts of a labelled pair, joined with `,`; `pair_head` is how the head reads them.
    """

    text: str | None = None
    label: str | None = None
    first: str | None = None
    second: str | None = None
    pair: str | None = None
    pair_head: PairHead | None = None
    negatives: str | None = None
    split: str = "train"
    config: str | None = None
    limit: int | None = None
    encoding: str | None = None
    kind: Kind | None = None
    sep: str | None = None
    names: tuple[str, ...] | None = None
    order: tuple[str, ...] | None = None
    strip: bool | None = None
    fold: bool | None = None
    format: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None


def parse_source(text: str) -> tuple[str, Query]:
    """`data/train.csv:label=stars,limit=100` -> address and keys. Raises UsageError for an unknown key or an invalid value."""
    address, pairs = split_source(text)
    known = [field.name.replace("_", "-") for field in fields(Query)]
    values: dict[str, Any] = {}
    for key, value in pairs:
        name = key.replace("-", "_")
        if key not in known:
            raise UsageError(f"unknown key {key!r} in {text!r}; keys: {listed(known)}{suggest(key, known)}")
        if name in values:
            raise UsageError(f"key {key!r} is repeated in {text!r}; remove one")
        values[name] = value
    if "limit" in values:
        limit = whole(values["limit"], 1)
        if limit is None:
            raise UsageError(f"limit={shorten(values['limit'])!r} in {shorten(text)!r} is not a positive number of rows")
        values["limit"] = limit
    if "kind" in values:
        KINDS.find(values["kind"], f"key 'kind' in {text!r}")
    for key in set(values) & {"quoting", "header", "strip", "fold"}:
        if values[key] not in ("yes", "no"):
            raise UsageError(f"{key}={values[key]!r} in {text!r} is not one of yes, no")
        values[key] = values[key] == "yes"
    if "delimiter" in values:
        values["delimiter"] = DELIMITERS.get(values["delimiter"], values["delimiter"])
        if len(values["delimiter"]) != 1 or values["delimiter"] in '"\r\n':
            raise UsageError(
                f"delimiter={values['delimiter']!r} in {text!r} is invalid; use a single character or one of {listed(DELIMITERS)}"
            )
    if "sep" in values:
        values["sep"] = DELIMITERS.get(values["sep"], values["sep"])
        if not values["sep"]:
            raise UsageError(f"sep= in {text!r} is empty; give the separator between labels, such as sep=| or sep=pipe")
    for key in {"names", "order"} & set(values):
        values[key] = parse_names(values[key], key, text)
    if "order" in values:
        ordered = [name for name, kind in KINDS.items() if kind.ordered]
        if values.setdefault("kind", ordered[0]) not in ordered:
            raise UsageError(f"order= in {text!r} is for kind={ordered[0]}, not {values['kind']}; remove one of them")
        if len(values["order"]) < 2:
            raise UsageError(f"order= in {text!r} has a single label; list all labels from low to high: order=low,mid,high")
    check_pair(values, text)
    return address, Query(**values)


def parse_names(value: str, key: str, text: str) -> tuple[str, ...]:
    """Names joined by commas, or without any by plus signs. Raises UsageError for an empty or repeated one."""
    names = tuple(value.split("," if "," in value else "+"))
    if repeated := [name for name, count in Counter(names).items() if count > 1 or not name]:
        problem = f"repeats {repeated[0]!r}" if repeated[0] else "has an empty name"
        raise UsageError(f"{key}= in {text!r} {problem}; name each label once: {key}=a,b,c")
    return names


def split_source(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The address and its (key, value) pairs. The name of an existing file or folder is an address, whatever it contains."""
    starts = [match.start() for match in KEYS.finditer(text)]
    if "://" in text:  # other keys belong to the URL
        known = {field.name for field in fields(Query)}
        starts = [start for start in starts if text[start + 1 :].partition("=")[0] in known]
    elif not starts and "?" in text:
        starts = [text.index("?")]
    ends = [len(text), *reversed(starts)]
    end = next((index for index in ends if exists(text[:index])), starts[0] if starts else len(text))
    address, mark, keys = text[:end], text[end : end + 1], text[end + 1 :]
    if mark == "?":
        pairs = [pair.partition("=") for pair in filter(None, keys.split("&"))]
        return address, [(key, unquote(value)) for key, _, value in pairs]
    # a comma that is not followed by a key is part of the value
    pairs = [pair.partition("=") for pair in re.split(rf",(?={KEY})", keys) if pair]
    return address, [(key, unquote(value)) for key, _, value in pairs]


def exists(address: str) -> bool:
    """Whether a file, folder or link with this name exists."""
    try:
        return bool(address) and os.path.lexists(expand(address))
    except (OSError, ValueError, UsageError):  # an invalid name, an unknown user
        return False


def parse_task(text: str, option: str = "--task") -> tuple[str, str]:
    """`NAME=SOURCE` -> name and source. Raises UsageError."""
    name, equals, source = text.partition("=")
    if not equals or "?" in name or ":" in name:
        raise UsageError(f"{option} {text!r} has no name; use {option} NAME=SOURCE, such as topic=sample:topic")
    if not source:
        raise UsageError(f"{option} {text!r} has no source after '='; use {option} NAME=SOURCE")
    return check_task_name(name), source


def named_sources(tasks: Sequence[str]) -> dict[str, str]:
    """`["topic=sample:topic"]` -> {"topic": "sample:topic"}. Raises UsageError, also for invalid keys."""
    sources: dict[str, str] = {}
    for text in tasks:
        name, source = parse_task(text)
        if name in sources:
            raise UsageError(f"task '{name}' is repeated; give each --task its own name")
        parse_source(source)
        sources[name] = source
    if not sources:
        raise UsageError("no task given; add --task NAME=SOURCE")
    return sources
