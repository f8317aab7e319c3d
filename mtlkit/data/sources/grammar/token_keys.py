"""Checks the keys of a source that are about labels of words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from mtlkit.config.architecture import TagScheme, Transitions
from mtlkit.errors import UsageError, listed, suggest

COLUMNS = ("tokens", "tags", "spans")
OTHERS = ("label", "labels", "pair", "pair_head", "first", "second", "negatives", "sep", "order", "strip", "fold")


def check_tokens(values: Mapping[str, Any], text: str) -> None:
    """Raises UsageError if the keys for labels of words, in the source `text`, do not fit together."""
    for name, choices in (("transitions", get_args(Transitions)), ("scheme", get_args(TagScheme))):
        value = values.get(name)
        if value is not None and value not in choices:
            raise UsageError(f"{name}={value} in {text!r} is not one of {listed(choices)}{suggest(value, choices)}")
    key = next((name for name in COLUMNS if name in values), None)
    if key is None:
        return
    if other := next((name for name in OTHERS if name in values), None):
        typed = other.replace("_", "-")
        raise UsageError(f"{text!r} has {key}=, for labels of words, and {typed}=, for labels of texts; remove one of them")
    if values.get("kind", "tokens") != "tokens":
        raise UsageError(f"{text!r} has {key}=, for labels of words, and kind={values['kind']}; remove one of them")
    if "spans" in values and (other := next((name for name in ("tokens", "tags") if name in values), None)):
        raise UsageError(f"{text!r} has spans= and {other}=; use text=NAME&spans=NAME, or tokens=NAME&tags=NAME")
    if "text" in values and "spans" not in values:
        raise UsageError(f"{text!r} has {key}= and text=; the words are the text, so remove text=, or use text=NAME&spans=NAME")
