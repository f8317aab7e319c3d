"""Reads JSON, and builds dataclasses from it with every field checked against its annotation."""

from __future__ import annotations

import json
import math
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar

from mtlkit.config.checked import hints_of

T = TypeVar("T")


def parse_json(text: str | bytes) -> Any:
    """`json.loads`. Raises ValueError for invalid JSON, also if it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError for anything else."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, not {json_type(value)}")
    return value


def json_type(value: Any) -> str:
    """The JSON type of a value, with its article: "an array"."""
    if value is None:
        return "null"
    names = {str: "a string", bool: "a boolean", list: "an array", dict: "an object", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def to_json(value: Any, **layout: Any) -> str:
    """`json.dumps`, but always valid JSON: numbers that are not finite become null."""
    try:
        return json.dumps(value, allow_nan=False, **layout)
    except ValueError:
        return json.dumps(without_nan(value), allow_nan=False, **layout)


def without_nan(value: Any) -> Any:
    """A copy of a JSON value in which numbers that are not finite are None."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def build(cls: type[T], value: Any) -> T:
    """Builds a dataclass from a JSON object. Each field must have the type of its annotation; numbers must be finite.

    Raises ValueError that names a field if it is unknown, missing or of the wrong type; also what `cls` raises.
    """
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, not {json_type(value)}")
    kind: Any = cls
    declared, hints = fields(kind), hints_of(kind)
    for name in value:
        if name not in hints:
            raise ValueError(f"unknown field '{name}'")
    arguments = {}
    for item in declared:
        if item.name in value:
            arguments[item.name] = _checked(item.name, value[item.name], hints[item.name])
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ValueError(f"field '{item.name}' is missing")
    return cls(**arguments)


def _checked(name: str, value: Any, hint: Any) -> Any:
    """A value converted to its annotation: int, float, bool, str, a Literal, an optional, tuple or dict of these, a dataclass, or
    Any.

    Raises ValueError that names the field.
    """
    if hint is Any:
        return value
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not type(None))
        return _checked(name, value, hint)
    if is_dataclass(hint) and isinstance(value, dict):
        return build(typing.cast(type, hint), value)
    if origin is dict:
        if isinstance(value, dict):
            return {key: _checked(f"{name}.{key}", item, arguments[1]) for key, item in value.items()}
    elif origin is tuple:
        if isinstance(value, (list, tuple)):  # the tuple of a dataclass that `asdict` converted
            return tuple(_checked(name, item, arguments[0]) for item in value)
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
    shown = json.dumps(value, ensure_ascii=False, default=str)
    raise ValueError(f"field '{name}': expected {_expected(hint)}, not {shown if len(shown) <= 40 else shown[:40] + '...'}")


def _expected(hint: Any) -> str:
    """The JSON value of an annotation, for messages."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    names = {dict: "an object", tuple: "an array", int: "a whole number", float: "a finite number", bool: "true or false"}
    return names.get(origin or hint, "a string")
