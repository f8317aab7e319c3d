"""Numbers inside the text of an option."""

from __future__ import annotations

from math import isfinite


def finite(text: str) -> float | None:
    """A finite number; None where the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None
