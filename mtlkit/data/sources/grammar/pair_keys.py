"""Checks the keys of a source that are about pairs of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from mtlkit.config.architecture import PairHead
from mtlkit.errors import UsageError, listed, suggest


def check_pair(values: Mapping[str, Any], text: str) -> None:
    """Raises UsageError if the keys for pairs of texts, in the source `text`, do not fit together."""
    pair, head = values.get("pair"), values.get("pair_head")
    if pair is not None and len([name for name in pair.split(",") if name]) < 2:
        raise UsageError(f"pair={pair} in {text!r} names one column, and a pair has two; use pair=FIRST,SECOND")
    if pair is not None and (other := next((key for key in ("text", "first", "second") if key in values), None)):
        raise UsageError(f"{text!r} has pair= and {other}=, which both name texts; remove one of them")
    if "labels" in values and (other := next((key for key in ("pair", "first", "second") if key in values), None)):
        raise UsageError(f"{text!r} has labels= and {other}=, and pairs of texts have one label column each; use label=NAME")
    if head is not None and not any(key in values for key in ("pair", "first", "second")):
        raise UsageError(f"pair-head={head} in {text!r} is for pairs of texts; add pair=FIRST,SECOND")
    if head is not None and head not in get_args(PairHead):
        heads = get_args(PairHead)
        raise UsageError(f"pair-head={head} in {text!r} is not one of {listed(heads)}{suggest(head, heads)}")
