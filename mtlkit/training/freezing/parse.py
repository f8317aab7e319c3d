"""Parses `--freeze` and `--unfreeze` into rules for a model, before any data is read. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.config.registries.methods import ordered
from mtlkit.errors import UsageError, listed, shorten, suggest
from mtlkit.training.freezing.rules import FreezeEnd, FreezeRule, FreezeRules
from mtlkit.training.freezing.targets.base import ModelParts
from mtlkit.training.freezing.targets.layers import blocks
from mtlkit.training.freezing.targets.parts import EMBEDDINGS, POOLING

NUMBER = "([0-9]{1,18})"  # int() rejects thousands of digits with a different error
UNTIL = re.compile(f"until=(epoch|step):{NUMBER}")
UNFREEZE = re.compile(f"top-down(?::every={NUMBER})?")


def parse_freeze(
    items: Iterable[str], unfreeze: str | None, weights: Sequence[str], heads: Sequence[str], repeats: Sequence[int]
) -> FreezeRules:
    """Parses items such as `["backbone", "-layers:3@until=epoch:2,head:topic"]` and `"top-down:every=1"` into rules for a model.
    `repeats`: how often each of its blocks runs.

    Raises UsageError for an item that matches nothing.
    """
    names = [part.strip() for item in items for part in _split(item) if part.strip()]
    chosen = [name for name in names if name != "none"]
    if chosen and "none" in names:
        raise UsageError(f"--freeze none and --freeze {chosen[0]} contradict each other; remove one of them")
    parts = ModelParts(weights, heads, repeats)
    rules = tuple(_rule(name, parts) for name in chosen)
    return FreezeRules((*_unfreezing(unfreeze, len(repeats)), *rules), tuple(weights))


def _split(item: str) -> list[str]:
    """Splits a comma-separated list, except at commas within brackets of a pattern."""
    return re.split(r",(?![^\[({]*[\])}])", item)


def _rule(item: str, parts: ModelParts) -> FreezeRule:
    body, at, end = item.partition("@until")
    until = None
    if at:
        match = UNTIL.fullmatch(f"until{end}")
        if not match or not int(match[2]):
            raise UsageError(f"--freeze {shorten(item)}: write its end as @until=epoch:K or @until=step:K, K from 1")
        until = FreezeEnd(match[1], int(match[2]))  # type: ignore[arg-type]
    return FreezeRule(item, _pattern(item, body.removeprefix("-").strip(), parts), not body.startswith("-"), until)


def _pattern(item: str, written: str, parts: ModelParts) -> re.Pattern[str]:
    """What a target, as it was written, matches in a model. Raises UsageError."""
    where = f"--freeze {shorten(item)}"
    known = [spelling for target in ordered(FREEZE_TARGETS) for spelling in target.spellings(parts)]
    name, colon, text = written.partition(":")
    pattern: re.Pattern[str] | None = None
    if name in FREEZE_TARGETS:
        pattern = FREEZE_TARGETS[name].pattern(where, text if colon else None, parts)
    if pattern is None:
        raise UsageError(f"{where}: no such part; known are none, {listed(known)}{suggest(written, ['none', *known])}")
    if not any(map(pattern.match, parts.weights)):
        raise UsageError(f"{where}: the {name} of this model has no parameters; known are none, {listed(known)}")
    return pattern


def _unfreezing(text: str | None, number: int) -> Iterator[FreezeRule]:
    """Gradual unfreezing (Howard & Ruder 2018): first only the heads train, then one more block at a time, from the top down."""
    if text is None:
        return
    match = UNFREEZE.fullmatch(text)
    every = int(match[1] or 1) if match else 0
    if not every:
        raise UsageError(f"--unfreeze {shorten(text)}: write top-down, or top-down:every=N with N epochs between two blocks")
    for stage, pattern in enumerate([POOLING, *(blocks([block]) for block in reversed(range(number))), EMBEDDINGS]):
        yield FreezeRule(f"--unfreeze {text}", pattern, True, FreezeEnd("epoch", every * max(1, stage)))
