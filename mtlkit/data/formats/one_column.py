"""Lines that are read as one column each, and look as if they held several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

UNUSUAL = re.compile(r"[^\w\s.,;|'\"()\[\]{}?!-]")  # what may stand between the columns of a header, besides the usual delimiters


def several_in_one(lines: Sequence[str | None]) -> Iterator[str]:
    """That a header has a character that is in every line, and that is none of the delimiters that are looked for."""
    header, *rows = [line for line in lines if line] or [""]
    for mark in dict.fromkeys(UNUSUAL.findall(header)):
        names = [name.strip() for name in header.split(mark)]
        if rows and all(names) and all(row.count(mark) >= len(names) - 1 for row in rows):
            shown = header.strip()[:60]
            yield f"read as one column, {shown!r}; if {mark!r} separates columns, specify delimiter={_typed(mark)}"
            return


def table_in_text(lines: Sequence[str | None], usual: set[str]) -> Iterator[str]:
    """That all lines of a text file can be split alike, by tabs, or by what splits the first into names of columns."""
    header, *rows = [line for line in lines if line and not line.isspace()] or [""]
    for mark, name in (("\t", "tab"), (",", "comma"), (";", "semicolon"), ("|", "pipe")):
        names = [field.strip().strip('"').lower() for field in header.split(mark)]
        named = mark == "\t" or (all(names) and not usual.isdisjoint(names))
        if rows and len(names) > 1 and named and all(row.count(mark) == len(names) - 1 for row in rows):
            way = "format=tsv" if mark == "\t" else "format=csv" if mark == "," else f"format=csv and delimiter={name}"
            said = f"each line is read whole, and all have {len(names)} fields separated by {mark!r}"
            yield f"{said}; if it is a table, specify {way}"
            return


def _typed(mark: str) -> str:
    return mark if mark.isprintable() and mark not in "&#" else f"%{ord(mark):02X}"
