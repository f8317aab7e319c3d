"""How often a training saves a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from mtlkit.config.option import finite, whole
from mtlkit.errors import UsageError, shorten

SAVE_EVERY = "10m"


@dataclass(frozen=True)
class SaveEvery:
    """A number of steps or, if that is 0, of minutes."""

    steps: int = 0
    minutes: float = 0.0


def parse_save_every(text: str) -> SaveEvery:
    """`500` are steps, `10m` minutes. Raises UsageError."""
    if steps := whole(text, 1):
        return SaveEvery(steps=steps)
    minutes = finite(text[:-1]) if text.endswith("m") else None
    if minutes is None or minutes <= 0:
        raise UsageError(f"--save-every {shorten(text)}: write a number of steps, such as 500, or of minutes, such as 10m")
    return SaveEvery(minutes=minutes)
