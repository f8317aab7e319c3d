"""How an option is declared: one dataclass field carries its name, type, default, help and panel.

The command line, the TOML reader and Python callers all read the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Declaration:
    """What the command line shows of a field besides its name, type and default; `default_text` says what None means. `parse`
    reads a text that has a grammar, and raises UsageError for one that it cannot read. `choices` are the only
    values, such as the names of a registry."""

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
) -> Any:
    """A dataclass field that is also a command-line option."""
    metadata = {"option": Declaration(help, panel, positional, short, metavar, minimum, maximum, default_text, parse, choices)}
    if isinstance(default, (list, tuple)):
        values = list(default)
        return field(default_factory=lambda: list(values), metadata=metadata)
    return field(default=default, metadata=metadata)
