"""Options that validate themselves: each field has its type and is within its limits, wherever its value comes from."""

from __future__ import annotations

import math
import os
import sys
import types
import typing
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from mtlkit.config.option import Declaration
from mtlkit.config.paths import expand
from mtlkit.errors import OptionError, UsageError, listed, shorten, suggest

LARGEST = 2**63 - 1  # the largest integer of a tensor


@dataclass(frozen=True, kw_only=True)
class CheckedOptions:
    """Base class of all options. A path may be given as a string, and a list as a single value; `~` and environment variables in
    paths are expanded. Raises OptionError that names the field, and UsageError if the parser of an option rejects its value."""

    def __post_init__(self) -> None:
        kind: Any = type(self)
        hints = hints_of(kind)
        for item in fields(self):
            if (declared := item.metadata.get("option")) is not None:
                value = check_value(item.name, getattr(self, item.name), hints[item.name], declared)
                object.__setattr__(self, item.name, value)

    chosen_by_plan: ClassVar[tuple[str, ...]] = ()  # options that are None until the starting model is known

    @property
    def derived_defaults(self) -> dict[str, Any]:
        """The defaults of options that are None, where they depend on other options."""
        return {}

    def settled(self, name: str) -> Any:
        """The value of an option, or its default that depends on others; None if it has neither."""
        value = getattr(self, name)
        return self.derived_defaults.get(name) if value is None else value


@cache
def hints_of(kind: Hashable) -> dict[str, Any]:
    """The annotations of an options class, cached: resolving them takes longer than all checks."""
    return typing.get_type_hints(kind)


def check_value(name: str, value: Any, hint: Any, declared: Declaration) -> Any:
    """The value converted to its annotation. Raises OptionError, UsageError."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return check_value(name, value, hint, declared)
    if origin is list:
        values = [value] if isinstance(value, (str, os.PathLike)) else value
        if not isinstance(values, (list, tuple)):
            raise OptionError(name, f"{_shown(value)} is not a list of strings")
        return [check_value(name, item, arguments[0], declared) for item in values]
    if origin is Literal:
        check_choice(name, value, arguments)
        return value
    if hint in (int, float):
        return _number(name, value, hint, declared)
    if hint is Path:
        return _path(name, value)
    plain = _plain(name, value, hint)
    if declared.choices is not None:
        check_choice(name, plain, list(declared.choices))
    if declared.parse is not None:
        declared.parse(plain)
    return plain


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Raises OptionError for a value that is not one of the choices."""
    if not isinstance(value, str) or value not in choices:
        near = suggest(value, choices) if isinstance(value, str) else ""
        raise OptionError(name, f"{_shown(value)} is not one of {listed(choices)}{near}")


def _number(name: str, value: Any, hint: type[int] | type[float], declared: Declaration) -> int | float:
    integer = isinstance(value, int) and not isinstance(value, bool)
    if not integer and not (hint is float and isinstance(value, float)):
        raise OptionError(name, f"{_shown(value)} is not a {'whole number' if hint is int else 'number'}")
    largest = LARGEST if hint is int else sys.float_info.max
    least = -largest if declared.minimum is None else declared.minimum
    most = largest if declared.maximum is None else declared.maximum
    if not least <= value <= most:  # also true for NaN
        if hint is float and not math.isfinite(value):
            raise OptionError(name, f"{value} is not a finite number")
        limit = f"at least {least}" if value < least else f"at most {most}"
        raise OptionError(name, f"{_shown(value)} is out of range; use {limit}")
    return hint(value)


def _path(name: str, value: Any) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise OptionError(name, f"{_shown(value)} is not a path")
    try:
        return expand(value)
    except UsageError as error:
        raise OptionError(name, str(error)) from None


def _plain(name: str, value: Any, hint: Any) -> Any:
    """A string or a boolean."""
    if hint is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if type(value) is not hint:
        raise OptionError(name, f"{_shown(value)} is not {'a string' if hint is str else 'true or false'}")
    return value


def _shown(value: Any) -> str:
    try:
        return shorten(repr(value), 60)
    except ValueError:  # Python does not convert integers with thousands of digits
        return "a number with thousands of digits"
