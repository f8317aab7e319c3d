"""Text from data on a terminal, shown literally."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len
from rich.text import Text

UNSEEN = {"Cc", "Cf", "Co", "Cs"}  # control, format (bidirectional overrides among them), private, surrogate


def printable(text: str) -> str:
    """Text with every control character replaced, so that a label cannot move the cursor or hide a link."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in UNSEEN and one not in "\n\t" else one for one in text
    )


COMMAND = re.compile(r"(?<=: )(?:mtlkit|pip) .*", re.DOTALL)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken between words; a longer word is never broken. Where the text ends in a command to
    type and does not fit one line, the command is a line of its own, so that it can be copied."""
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
    """A rich text in which brackets are brackets."""
    return Text(printable(text), style=style)


def one_line(text: str) -> Text:
    """The same, on one line."""
    return literal(" ".join(text.split()))
