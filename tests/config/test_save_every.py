from __future__ import annotations

import pytest

from mtlkit.config.save_every import SAVE_EVERY, SaveEvery, parse_save_every
from mtlkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", SaveEvery(steps=1)),
        ("500", SaveEvery(steps=500)),
        ("10m", SaveEvery(minutes=10.0)),
        ("0.5m", SaveEvery(minutes=0.5)),
        ("1e1m", SaveEvery(minutes=10.0)),
        (SAVE_EVERY, SaveEvery(minutes=10.0)),
    ],
)
def test_steps_or_minutes(text: str, expected: SaveEvery) -> None:
    assert parse_save_every(text) == expected


@pytest.mark.parametrize("text", ["", "m", "0", "0m", "-1", "-1m", "1.5", "10s", "10 min", "nanm", "infm", "10mm", "ten"])
def test_anything_else_is_refused_with_advice(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_save_every(text)
    assert str(caught.value) == f"--save-every {text}: write a number of steps, such as 500, or of minutes, such as 10m"
