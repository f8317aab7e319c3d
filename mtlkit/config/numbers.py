"""Numbers inside the text of an option."""

from __future__ import annotations

import re
from math import isfinite

WHOLE = re.compile(r"[0-9]{1,18}")  # int() refuses thousands of digits with an error of its own, and takes other alphabets'


def finite(text: str) -> float | None:
    """A finite number; None where the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def whole(text: str, least: int = 0) -> int | None:
    """A whole number of at most 18 digits and at least `least`; None where the text is none."""
    value = int(text) if WHOLE.fullmatch(text) else None
    return value if value is not None and value >= least else None
