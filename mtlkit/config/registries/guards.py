"""The methods of `--guard` by name. They are defined in `mtlkit/training/continual/methods/`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mtlkit.config.option import finite
from mtlkit.config.registries.methods import forms
from mtlkit.config.registries.registry import Registry
from mtlkit.errors import UsageError, listed, shorten, suggest

GUARDS: Registry[Any] = Registry("guard against forgetting", "mtlkit.training.continual.methods")


@dataclass(frozen=True)
class GuardChoice:
    """A chosen guard with its parameters; missing ones use the guard's defaults."""

    name: str
    numbers: tuple[float, ...] = ()


def parse_guards(texts: Iterable[str]) -> tuple[GuardChoice, ...]:
    """Parses guards such as `["l2sp:0.1", "lwf"]`. Raises UsageError."""
    choices: dict[str, GuardChoice] = {}
    for text in texts:
        choice = parse_guard(text)
        if choice.name in choices:
            raise UsageError(f"--guard {choice.name} is given twice; remove one of them")
        choices[choice.name] = choice
    return tuple(choices.values())


def parse_guard(text: str) -> GuardChoice:
    """Parses a guard such as `l2sp:0.1`. Raises UsageError."""
    name, *numbers = text.split(":")
    if name not in GUARDS:
        near = suggest(name, GUARDS, "--guard")
        raise UsageError(f"--guard {shorten(text)}: no such guard; choose from {listed(forms(GUARDS))}{near}")
    form = GUARDS[name].syntax
    if len(numbers) > form.count(":") or not all(map(_positive, numbers)):
        raise UsageError(f"--guard {shorten(text)}: write {form}, with numbers above 0")
    return GuardChoice(name, tuple(map(float, numbers)))


def _positive(text: str) -> bool:
    value = finite(text)
    return value is not None and value > 0
