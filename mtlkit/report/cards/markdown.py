"""Text of users and data as Markdown: shown literally, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mtlkit.errors import shorten
from mtlkit.report.text import printable

# what is plain text to every reader of Markdown; the rest becomes an entity, which never is markup, even in a table
PLAIN = re.compile(r"[#$&*<>@\[\\\]`|~]|(?<![^\W_])_|_(?![^\W_])|(?<=\bwww)\.|:(?=//|\w+:)")
LONGEST = 60  # characters of a label
MOST = 20  # labels of a task that a card lists


def text(value: str, longest: int = LONGEST) -> str:
    """Text of one line in which nothing is markup."""
    line = shorten(printable(value), longest)
    return PLAIN.sub(lambda found: f"&#{ord(found[0])};", line)


def listed(labels: Sequence[str]) -> str:
    """The first labels of a task, and how many there are."""
    shown = ", ".join(text(label) or "(empty)" for label in labels[:MOST])
    return f"{shown}, ... ({len(labels):,} in all)" if len(labels) > MOST else shown or "-"


def code(value: str, longest: int = 200) -> str:
    """Inline code outside of tables."""
    line = shorten(printable(value), longest) or " "
    fence = "`" * (longest_run(line) + 1)
    space = " " if "`" in (line[0], line[-1]) else ""
    return f"{fence}{space}{line}{space}{fence}"


def block(content: str, language: str = "") -> str:
    """A block of code, fenced with more backticks than it holds."""
    fence = "`" * max(3, longest_run(content) + 1)
    return f"{fence}{language}\n{printable(content).rstrip()}\n{fence}\n"


def longest_run(content: str) -> int:
    """The length of the longest run of backticks."""
    return max(map(len, re.findall(r"`+", content)), default=0)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
