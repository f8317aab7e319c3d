"""Formats text for the terminal: literally, in one line, or wrapped."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len
from rich.text import Text

UNSEEN = {"Cc", "Cf", "Co", "Cs"}  # control, format (such as bidirectional overrides), private use, surrogate


def printable(text: str) -> str:
    """Text with every control character replaced, so that a label cannot move the cursor or hide a link."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(char) in UNSEEN and char not in "\n\t" else char for char in text
    )


COMMAND = re.compile(r"(?<=: )(?:mtlkit|pip) .*", re.DOTALL)


def wrapped(text: str, width: int) -> list[str]:
    """Wraps text into lines of at most `width` columns, without breaking words. If text of several lines ends with a command, the
    command gets a line of its own, so that it can be copied.
    """
    if cell_len(text) <= width:
        return [text]
    command = COMMAND.search(text)
    lines: list[str] = []
    for word in text[: command.start() if command else None].split():
        if lines and cell_len(f"{lines[-1]} {word}") <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.append(word)
    return [*lines, *([command[0]] if command else [])]


def literal(text: str, style: str = "") -> Text:
    """Rich text without markup."""
    return Text(printable(text), style=style)


def one_line(text: str) -> Text:
    """Rich text without markup or line breaks."""
    return literal(" ".join(text.split()))
