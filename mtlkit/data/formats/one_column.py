"""Warnings for files that are read as one column although they look like tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

UNUSUAL = re.compile(r"[^\w\s.,;|'\"()\[\]{}?!-]")  # possible delimiters other than the usual ones


def several_in_one(lines: Sequence[str | None]) -> Iterator[str]:
    """Yields a warning if an unusual character splits the header and every line."""
    header, *rows = [line for line in lines if line] or [""]
    for mark in dict.fromkeys(UNUSUAL.findall(header)):
        names = [name.strip() for name in header.split(mark)]
        if rows and all(names) and all(row.count(mark) >= len(names) - 1 for row in rows):
            shown = header.strip()[:60]
            yield f"read as a single column, {shown!r}; if {mark!r} separates columns, specify delimiter={_escaped(mark)}"
            return


def table_in_text(lines: Sequence[str | None], usual: set[str]) -> Iterator[str]:
    """Yields a warning if all lines of a text file have the same number of fields, separated by tabs or under a header.

    `usual` are names of columns in lower case; a header contains one of them.
    """
    header, *rows = [line for line in lines if line and not line.isspace()] or [""]
    for mark, name in (("\t", "tab"), (",", "comma"), (";", "semicolon"), ("|", "pipe")):
        names = [field.strip().strip('"').lower() for field in header.split(mark)]
        named = mark == "\t" or (all(names) and not usual.isdisjoint(names))
        if rows and len(names) > 1 and named and all(row.count(mark) == len(names) - 1 for row in rows):
            keys = "format=tsv" if mark == "\t" else "format=csv" if mark == "," else f"format=csv and delimiter={name}"
            shape = f"every line has {len(names)} fields separated by {mark!r}"
            yield f"each line is read as one text, but {shape}; if this is a table, specify {keys}"
            return


def _escaped(mark: str) -> str:
    """The character as it is written in a source's keys."""
    return mark if mark.isprintable() and mark not in "&#" else f"%{ord(mark):02X}"
