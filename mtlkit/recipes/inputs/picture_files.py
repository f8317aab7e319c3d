"""What commands that draw pictures share: the library that draws them, and the format that a path asks for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from mtlkit.errors import UsageError


def check_matplotlib(needed: str) -> None:
    """Raises UsageError if matplotlib is missing; `needed` begins the message, such as "--output a.svg needs matplotlib"."""
    if find_spec("matplotlib") is None:
        raise UsageError(f"{needed}; install it with: pip install 'mtlkit[pictures]'")


def picture_format(path: Path) -> str:
    """The suffix of a picture as matplotlib names the format."""
    return path.suffix.lower().removeprefix(".")
