"""Parses sources, with keys written as `SOURCE:key=value,...` or `SOURCE?key=value&...`. Tasks: `task_names.py`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields, replace
from typing import Any
from urllib.parse import unquote

from mtlkit.config.architecture import Kind, PairHead, TagScheme, Transitions
from mtlkit.config.paths import expand
from mtlkit.data.sources.grammar.key_values import parse_value, with_ordered_kind
from mtlkit.data.sources.grammar.label_keys import PER_COLUMN, LabelColumn, chosen_column, label_columns
from mtlkit.data.sources.grammar.pair_keys import check_pair
from mtlkit.data.sources.grammar.token_keys import check_tokens
from mtlkit.errors import UsageError, listed, suggest

KEY = rf"(?:[A-Za-z_]+|pair-head|(?:{'|'.join(PER_COLUMN)})\.[^=&,]+)="
KEYS = re.compile(rf"[?:](?={KEY})")  # where the keys of a source may start


@dataclass(frozen=True)
class Query:
    """The keys of a source.

    `text` may join columns with `+`; `first` and `second` are the columns of a pair, `negatives` those of its hard negatives,
    joined with `,`; `split` is the split to train on; `config` is the configuration of a hub data set; `kind` overrides the kind
    inferred from the labels. `sep` separates the labels of a row, `names` are the labels of 0/1 lists, `order` is that of ordinal
    labels, low to high; `strip` merges labels that differ only in white space, `fold` those that differ only in case or Unicode
    form. `pair` are the columns of the two texts of a labelled pair, joined with `,`; `pair_head` is how the head reads them.
    `tokens` and `tags` are the columns with the words of a text and their tags, `spans` that with the labelled spans of a text;
    `transitions` says that the head learns how likely a tag is to follow another; `scheme` overrides the scheme that the tags
    look like. `labels` are columns with the labels of a task each; with it, `label` is the one of them that this task has, and
    the other keys are those of that column.
    """

    text: str | None = None
    label: str | None = None
    labels: tuple[LabelColumn, ...] = ()
    first: str | None = None
    second: str | None = None
    pair: str | None = None
    pair_head: PairHead | None = None
    negatives: str | None = None
    tokens: str | None = None
    tags: str | None = None
    spans: str | None = None
    transitions: Transitions | None = None
    scheme: TagScheme | None = None
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

    def of_column(self, column: LabelColumn) -> Query:
        """The keys of one of its label columns."""
        keys: dict[str, Any] = {**dict.fromkeys(PER_COLUMN), **column.keys}
        return replace(self, label=column.name, **keys)

    @property
    def table(self) -> Query:
        """The keys that all its label columns have in common."""
        return self.of_column(LabelColumn("", ""))


def parse_source(text: str) -> tuple[str, Query]:
    """`data/train.csv:label=stars,limit=100` -> address and keys. Raises UsageError for an unknown key or an invalid value."""
    address, pairs = split_source(text)
    known = [field.name.replace("_", "-") for field in fields(Query)]
    values: dict[str, Any] = {}
    of_columns: dict[str, dict[str, Any]] = {}
    for key, value in pairs:
        typed, dot, column = key.partition(".")
        name = typed.replace("-", "_")
        if typed not in known or (dot and name not in PER_COLUMN):
            raise UsageError(f"unknown key {key!r} in {text!r}; keys: {listed(known)}{suggest(key, known)}")
        own = of_columns.setdefault(column, {}) if dot else values
        if name in own:
            raise UsageError(f"key {key!r} is repeated in {text!r}; remove one")
        own[name] = parse_value(name, value, key, text)
    check_pair(values, text)
    check_tokens(values, text)
    if "labels" in values:
        values["labels"] = label_columns(values["labels"], values, of_columns, text)
        query = Query(**values)
        return address, query if query.label is None else query.of_column(chosen_column(query.label, query.labels, text))
    if of_columns:
        column = next(iter(of_columns))
        key = f"{next(iter(of_columns[column]))}.{column}"
        raise UsageError(f"key {key!r} in {text!r} is for one of several label columns; add labels={column},...")
    return address, Query(**with_ordered_kind(values, text))


def split_source(text: str) -> tuple[str, list[tuple[str, str]]]:
    """The address and its (key, value) pairs. The name of an existing file or folder is never split."""
    starts = [match.start() for match in KEYS.finditer(text)]
    if "://" in text:  # other keys belong to the URL
        known = {field.name for field in fields(Query)}
        starts = [start for start in starts if text[start + 1 :].partition("=")[0].partition(".")[0] in known]
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
