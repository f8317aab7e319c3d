"""What Jupyter shows: summaries of results as HTML, and one output per training that is updated in place.

Needs no Jupyter to be imported. HTML takes its colours from the page, so that it is legible in light and dark themes.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any

MOST_LINES = 12  # of the past in the output of a training
PAUSE = 0.5  # seconds between two updates
CELL = "padding:0.15em 0.8em;text-align:left;border:0;background:transparent"
RULE = "border-bottom:1px solid currentColor"


def summary_html(title: str, facts: Mapping[str, str], columns: Sequence[str] = (), rows: Iterable[Sequence[str]] = ()) -> str:
    """A title, facts by name in one line, and a table. Everything is escaped."""
    line = " · ".join(f"<span style='opacity:0.7'>{_text(name)}</span> {_text(value)}" for name, value in facts.items())
    head = "".join(f"<th style='{CELL};{RULE}'>{_text(name)}</th>" for name in columns)
    cells = ("".join(f"<td style='{CELL}'>{_text(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    table = f"<table style='border-collapse:collapse;color:inherit;margin:0.4em 0'><tr>{head}</tr>{body}</table>" if body else ""
    return f"<div style='line-height:1.5'><b>{_text(title)}</b><div>{line}</div>{table}</div>"


def _text(text: str) -> str:
    """Escaped text that cannot change the direction of what follows."""
    return f"<bdi>{escape(text)}</bdi>"


def in_kernel() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return shell is not None and hasattr(shell, "kernel")


def below_kernel() -> bool:
    """Whether a notebook started this process, as `!mtlkit ...` in a cell does. It then has a terminal, but one that appends
    whatever a live view draws anew."""
    environment = os.environ
    of_ipykernel = {"TERM": "xterm-color", "PAGER": "cat", "GIT_PAGER": "cat"}
    return "JPY_PARENT_PID" in environment or all(environment.get(name) == value for name, value in of_ipykernel.items())


class CellOutput:
    """One output of a cell, as text: the last lines of the past and what is going on, updated in place."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        from IPython.display import DisplayHandle

        self.handle: Any = DisplayHandle()
        self.now, self.last = now, -PAUSE
        self.lines, self.left_out, self.begun = deque[str](maxlen=MOST_LINES), 0, False

    def add(self, line: str) -> None:
        """A line that stays."""
        self.left_out += len(self.lines) == MOST_LINES
        self.lines.append(line)
        self.show("")

    def show(self, current: str, *, last: bool = False) -> None:
        """What is going on, unless the last update was just now."""
        if not last and self.now() - self.last < PAUSE:
            return
        self.last = self.now()
        dropped = [f"... {self.left_out:,} lines before"] if self.left_out else []
        text = {"text/plain": "\n".join([*dropped, *self.lines, *([current] if current else [])]) or " "}
        if self.begun:
            self.handle.update(text, raw=True)
        else:
            self.handle.display(text, raw=True)
        self.begun = True
