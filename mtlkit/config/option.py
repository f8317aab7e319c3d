"""Declares an option: a dataclass field with its name, type, default, help and panel.

The command line, the TOML reader and Python callers read the same fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

from mtlkit.config.registries.methods import described

COMMON = "Common"  # the first panel of every command

# What completion offers besides fixed choices: names of runs, tasks and parts of the model, sources, files, and heads of runs
Completes = Literal["run", "init", "task", "watched", "part", "source", "file", "head"]


@dataclass(frozen=True)
class Declaration:
    """The properties of an option besides its name, type and default; `default_text` says what None means.

    `parse` checks a text that has a grammar, and raises UsageError. `choices` are the only values, such as the names of a
    registry. Only `--help-all` shows an `advanced` option; a higher `rank` comes later in its panel. `complete` is what a
    shell offers for the value, if that is not `choices`. `methods` is a registry of names that it can have; help and completion
    list them.
    """

    help: str
    panel: str
    positional: bool = False
    short: str | None = None
    metavar: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    default_text: str | None = None
    parse: Callable[[str], object] | None = None
    choices: Collection[str] | None = None
    advanced: bool = False
    rank: int = 0
    complete: tuple[str, ...] | Completes | None = None
    methods: Mapping[str, Any] | None = None

    @property
    def full_help(self) -> str:
        """The help, with that of the methods."""
        return self.help if self.methods is None else f"{self.help} {described(self.methods)}"


def option(
    default: Any,
    help: str,
    *,
    panel: str = "Options",
    positional: bool = False,
    short: str | None = None,
    metavar: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    default_text: str | None = None,
    parse: Callable[[str], object] | None = None,
    choices: Collection[str] | None = None,
    advanced: bool = False,
    rank: int = 0,
    complete: tuple[str, ...] | Completes | None = None,
    methods: Mapping[str, Any] | None = None,
) -> Any:
    """A dataclass field that is also a command-line option."""
    shown = (help, panel, positional, short, metavar, minimum, maximum, default_text)
    metadata = {"option": Declaration(*shown, parse, choices, advanced, rank, complete, methods)}
    if isinstance(default, (list, tuple)):
        values = list(default)
        return field(default_factory=lambda: list(values), metadata=metadata)
    return field(default=default, metadata=metadata)


WHOLE = re.compile(r"[0-9]{1,18}")  # int() refuses thousands of digits with an error of its own, and takes other alphabets'


def finite(text: str) -> float | None:
    """A finite number, or None if the text is not one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def whole(text: str, least: int = 0) -> int | None:
    """A whole number of at most 18 digits and at least `least`, or None if the text is not one."""
    value = int(text) if WHOLE.fullmatch(text) else None
    return value if value is not None and value >= least else None
