"""Draws tables as on a terminal, with hostile texts in them."""

from __future__ import annotations

import io
import re

from rich.console import Console, RenderableType

HOSTILE = ("[/]", "[red]r[/red]", "esc\x1b[31m", "\x1b]8;;http://a\x1b\\b\x1b]8;;\x1b\\", "[link=http://a]x[/link]")
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def drawn(table: RenderableType | None, width: int = 80, colour: bool = False) -> str:
    """A table as a terminal of this width gets it."""
    assert table is not None
    file = io.StringIO()
    console = Console(
        file=file, width=width, force_terminal=colour, color_system="truecolor" if colour else None, legacy_windows=False
    )
    console.print(table)
    return file.getvalue()


def widest(text: str) -> int:
    return max(map(len, text.splitlines()))
