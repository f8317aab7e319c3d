"""The methods of `--balance` by name. They are defined in `mtlkit/training/balancing/methods/`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from mtlkit.config.registries.methods import forms
from mtlkit.config.registries.registry import Registry
from mtlkit.errors import UsageError, listed, shorten, suggest

BALANCING: Registry[Any] = Registry("balancing method", "mtlkit.training.balancing.methods")


@dataclass(frozen=True)
class BalanceChoice:
    """A chosen method, by its full name; `weights` are those of `weights:...`."""

    name: str = "sum"
    weights: dict[str, float] = field(default_factory=dict)


def full_name(text: str) -> str:
    """A value of `--balance` with aliases resolved: "upgrad" is "torchjd:upgrad"."""
    return next((method.name for method in BALANCING.values() if text in method.aliases), text)


def split_balance(text: str) -> tuple[str, str | None]:
    """The full name of the method, and its value (None: there is none). Raises UsageError for an unknown method, or a value that
    the method does not take."""
    if (name := full_name(text)) in BALANCING:
        return name, None
    name, colon, value = text.partition(":")
    if name not in BALANCING:
        spellings = {spelling: method.name for method in BALANCING.values() for spelling in (method.name, *method.aliases)}
        near = [spellings[spelling] for spelling in get_close_matches(text, spellings, n=1)]
        hint = suggest(near[0], near) if near else ""
        raise UsageError(
            f"--balance {shorten(text)}: unknown method; choose from {listed(forms(BALANCING), len(BALANCING))}{hint}"
        )
    if colon and BALANCING[name].parse is None:
        raise UsageError(f"--balance {shorten(text)}: {name} takes no value; remove ':{shorten(value)}'")
    return name, value


def parse_balance(text: str, tasks: Collection[str]) -> BalanceChoice:
    """Reads a value such as "weights:topic=1,sentiment=0.5" or "torchjd:upgrad". Tasks without a weight get 1.

    Raises UsageError for an unknown method or task, or a value that the method cannot read.
    """
    name, value = split_balance(text)
    parse = BALANCING[name].parse
    return BalanceChoice(name, parse(value or "", tasks) if parse else {})
