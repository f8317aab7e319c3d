"""Lists, sets and dictionaries that were written into a text, as pandas does when it saves a table as csv."""

from __future__ import annotations

import ast
import re
from typing import Any

from mtlkit.config.from_json import parse_json

VALUE = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|True|False|None|nan|[+-]?[\d.][\d.eE+-]*"""
ITEM = re.compile(rf"""\s*({VALUE})\s*(?:,|(?=\s|'|"|\Z))""")
PAIR = re.compile(rf"\s*({VALUE})\s*:\s*({VALUE})\s*(?:,|\Z)")
NUMPY = re.compile(r"\bnp\.\w+\(([^()]*)\)")  # how NumPy writes a number inside a list or a dictionary
CLOSED = {"[": "]", "(": ")", "{": "}"}


def parse_written(text: str) -> list[Any] | frozenset[Any] | dict[str, Any] | None:
    """A list, a set or a dictionary in a text, as JSON, pandas or NumPy write it: `["a"]`, `('a', 'b')`, `[0 1]`, `{'a': 1.0}`.

    None where the text is nothing of the kind, nor where anything but names and numbers is inside.
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
    if text[0] == "{" and (pairs := _scanned(PAIR, inside)) is not None:
        return {str(name): value for name, value in pairs}
    items = _scanned(ITEM, inside)
    if items is None or (text[0] == "(" and items and "," not in inside):
        return None
    values = [value for (value,) in items]
    return frozenset(values) if text[0] == "{" else values


def _scanned(pattern: re.Pattern[str], text: str) -> list[tuple[Any, ...]] | None:
    """The groups of matches one after another to the end of a text, as Python values; None where anything else is there."""
    found, place = [], 0
    while place < len(text):
        match = pattern.match(text, place)
        if match is None or match.end() == place:
            return None
        try:
            found.append(tuple(None if group == "nan" else ast.literal_eval(group) for group in match.groups()))
        except (ValueError, SyntaxError):
            return None
        place = match.end()
    return found
