"""Parses lists, sets and dictionaries written as text, as pandas does when it saves a table as csv."""

from __future__ import annotations

import ast
import re
from typing import Any

from mtlkit.config.from_json import parse_json

VALUE = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|True|False|None|nan|[+-]?[\d.][\d.eE+-]*"""
ITEM = re.compile(rf"""\s*({VALUE})\s*(?:,|(?=\s|'|"|\Z))""")
PAIR = re.compile(rf"\s*({VALUE})\s*:\s*({VALUE})\s*(?:,|\Z)")
NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")  # a NumPy number inside a list or a dictionary
CLOSED = {"[": "]", "(": ")", "{": "}"}


def parse_written(text: str) -> list[Any] | frozenset[Any] | dict[str, Any] | None:
    """Parses a list, set or dictionary as JSON, pandas or NumPy write it: `["a"]`, `('a', 'b')`, `[0 1]`, `{'a': 1.0}`.

    None if the text is anything else, or contains anything but names and numbers.
    """
    text = text.strip()
    if text == "set()":
        return frozenset()
    if len(text) < 2 or CLOSED.get(text[0]) != text[-1]:
        return None
    try:
        value = parse_json(text)
    except ValueError:
        pass
    else:
        return value if isinstance(value, (list, dict)) else None
    inside = (NUMPY.sub(r"\1", text) if "np." in text else text)[1:-1].strip()
    if text[0] == "{" and (pairs := _scan(PAIR, inside)) is not None:
        return {str(name): value for name, value in pairs}
    items = _scan(ITEM, inside)
    if items is None or (text[0] == "(" and items and "," not in inside):
        return None
    values = [value for (value,) in items]
    return frozenset(values) if text[0] == "{" else values


def _scan(pattern: re.Pattern[str], text: str) -> list[tuple[Any, ...]] | None:
    """The groups of consecutive matches up to the end of the text, as Python values; None if anything else occurs."""
    values, position = [], 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None or match.end() == position:
            return None
        try:
            values.append(tuple(None if group == "nan" else ast.literal_eval(group) for group in match.groups()))
        except (ValueError, SyntaxError):
            return None
        position = match.end()
    return values
