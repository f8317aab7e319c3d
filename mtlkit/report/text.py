"""Text from data on a terminal, shown literally."""

from __future__ import annotations

import unicodedata

from rich.text import Text

UNSEEN = {"Cc", "Cf", "Co", "Cs"}  # control, format (bidirectional overrides among them), private, surrogate


def printable(text: str) -> str:
    """Text with every control character replaced, so that a label cannot move the cursor or hide a link."""
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in UNSEEN and one not in "\n\t" else one for one in text
    )


def literal(text: str, style: str = "") -> Text:
    """A rich text in which brackets are brackets."""
    return Text(printable(text), style=style)


def one_line(text: str) -> Text:
    """The same, on one line."""
    return literal(" ".join(text.split()))
