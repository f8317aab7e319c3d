"""From JSON to what it stands for: text to values, and values to dataclasses whose every field is of its kind."""

from __future__ import annotations

import json
import math
import types
import typing
from dataclasses import MISSING, fields
from typing import Any, Literal, TypeVar

Made = TypeVar("Made")


def parse_json(text: str | bytes) -> Any:
    """`json.loads`. Raises ValueError for what is no JSON, also where it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError for anything else."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} where an object belongs")
    return value


def to_json(value: Any, **layout: Any) -> str:
    """`json.dumps`, but always JSON: numbers that are not finite, which it has no word for, become null."""
    try:
        return json.dumps(value, allow_nan=False, **layout)
    except ValueError:
        return json.dumps(without_nan(value), allow_nan=False, **layout)


def without_nan(value: Any) -> Any:
    """Plain JSON in which numbers that are not finite are null."""
    if isinstance(value, dict):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def build(made: type[Made], value: Any) -> Made:
    """A dataclass from a JSON object: no field too many or too few, each of the kind that its annotation says; numbers finite.

    Raises ValueError naming the field. What the dataclass itself checks, it raises itself.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} where an object belongs")
    declared = fields(made)  # type: ignore[arg-type]
    hints = typing.get_type_hints(made)
    for name in value:
        if name not in hints:
            raise ValueError(f"unknown field '{name}'")
    found = {}
    for item in declared:
        if item.name in value:
            found[item.name] = _checked(item.name, value[item.name], hints[item.name])
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"'{item.name}' is missing")
    return made(**found)


def _checked(name: str, value: Any, hint: Any) -> Any:
    """A value as its annotation wants it: int, float, bool, str, a Literal, one of these or None, a tuple of one of these, or a
    dict with values of one of these; Any takes everything."""
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (one for one in arguments if one is not type(None))
        return _checked(name, value, hint)
    if origin is dict:
        if isinstance(value, dict):
            return {key: _checked(f"{name}.{key}", one, arguments[1]) for key, one in value.items()}
    elif origin is tuple:
        if isinstance(value, list):
            return tuple(_checked(name, one, arguments[0]) for one in value)
    elif origin is Literal:
        if isinstance(value, str) and value in arguments:
            return value
    elif hint is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf:
            try:
                return float(value)
            except OverflowError:
                pass
    elif type(value) is hint:
        return value
    shown = str(value)
    raise ValueError(f"'{name}' cannot be {shown if len(shown) <= 40 else shown[:40] + '...'}")
