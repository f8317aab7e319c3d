"""Where commands print: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from typing import Any

from rich.console import Console


@cache
def stdout() -> Console:
    return Console(highlight=False, soft_wrap=False)


@cache
def stderr() -> Console:
    return Console(stderr=True, highlight=False)


def say(text: str, style: str | None = None) -> None:
    """A sentence on stderr, its brackets and control characters shown as they are."""
    from mtlkit.report.text import literal

    stderr().print(literal(text, style or ""), soft_wrap=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def print_line(value: Any) -> None:
    """One JSON object on a line of its own on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def close_stdout() -> None:
    """After the reader (head, less) has left, what is still buffered goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
