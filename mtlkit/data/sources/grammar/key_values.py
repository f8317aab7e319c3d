"""The values of the keys of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mtlkit.config.option import whole
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.errors import UsageError, listed, shorten

# names that need no quoting in a shell
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|", "space": " "}


def parse_value(key: str, value: str, typed: str, text: str) -> Any:
    """The value of a key that was typed as `typed`, such as `kind.stars`, in the source `text`. Raises UsageError."""
    if key == "limit":
        limit = whole(value, 1)
        if limit is None:
            raise UsageError(f"limit={shorten(value)!r} in {shorten(text)!r} is not a positive number of rows")
        return limit
    if key == "kind":
        KINDS.find(value, f"key {typed!r} in {text!r}")
    if key in ("quoting", "header", "strip", "fold"):
        if value not in ("yes", "no"):
            raise UsageError(f"{typed}={value!r} in {text!r} is not one of yes, no")
        return value == "yes"
    if key == "delimiter":
        value = DELIMITERS.get(value, value)
        if len(value) != 1 or value in '"\r\n':
            raise UsageError(f"delimiter={value!r} in {text!r} is invalid; use a single character or one of {listed(DELIMITERS)}")
    if key == "sep":
        value = DELIMITERS.get(value, value)
        if not value:
            raise UsageError(f"{typed}= in {text!r} is empty; give the separator between labels, such as sep=| or sep=pipe")
    if key in ("names", "order"):
        return parse_names(value, typed, text)
    return value


def parse_names(value: str, key: str, text: str) -> tuple[str, ...]:
    """Names joined by commas, or without any by plus signs. Raises UsageError for an empty or repeated one."""
    names = tuple(value.split("," if "," in value else "+"))
    if repeated := [name for name, count in Counter(names).items() if count > 1 or not name]:
        problem = f"repeats {repeated[0]!r}" if repeated[0] else "has an empty name"
        raise UsageError(f"{key}= in {text!r} {problem}; name each label once: {key}=a,b,c")
    return names


def with_ordered_kind(values: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The keys of labels, of an ordered kind if they have an order. Raises UsageError if they cannot."""
    values = dict(values)
    if "order" in values:
        ordered = [name for name, kind in KINDS.items() if kind.ordered]
        if values.setdefault("kind", ordered[0]) not in ordered:
            raise UsageError(f"order= in {text!r} is for kind={ordered[0]}, not {values['kind']}; remove one of them")
        if len(values["order"]) < 2:
            raise UsageError(f"order= in {text!r} has a single label; list all labels from low to high: order=low,mid,high")
    return values
