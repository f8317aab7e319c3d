from __future__ import annotations

import pytest

from mtlkit.cli.phase import Pace, Sparse, clock


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00"), (36125, "10:02:05")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_speed_is_that_of_recent_work() -> None:
    pace = Pace(window=30)
    assert pace.rate is None
    pace.add(1000, 10)  # a hundred times slower before a resume
    assert pace.rate is None
    for second in range(1, 100):
        pace.add(1000 + second, 10 + 5 * second)
    assert pace.rate == 5
    for second in range(100, 131):  # it slows down, and half a minute later nothing else counts
        pace.add(1000 + second, 505 + 2 * (second - 99))
    assert pace.rate == 2


def test_nothing_done_has_no_speed() -> None:
    pace = Pace()
    pace.add(0, 0)
    pace.add(5, 0)
    assert pace.rate is None


def test_plain_lines_get_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("mtlkit.cli.phase.time.monotonic", lambda: now[0])
    sparse, due = Sparse(), []
    for second in range(3601):
        now[0] = second
        if sparse.due():
            due.append(second)
    assert due[:3] == [5, 10, 15]
    assert due[-1] - due[-2] == 60
    assert len(due) < 100
