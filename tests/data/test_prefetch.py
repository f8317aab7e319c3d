from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from mtlkit.data.prefetch import ahead


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("ahead")]


def counted(made: list[int], count: int) -> Iterator[int]:
    for number in range(1, count + 1):
        made.append(number)
        yield number


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_items_keep_their_order(count: int) -> None:
    assert list(ahead(counted([], count))) == list(range(1, count + 1))
    assert not threads()


def test_one_item_is_made_ahead_and_no_more() -> None:
    made: list[int] = []
    stream = ahead(counted(made, 9))
    assert next(stream) == 1
    until = time.monotonic() + 10
    while len(made) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [1, 2]
    assert list(stream) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_items_are_made_in_another_thread() -> None:
    assert set(ahead(threading.get_ident() for _ in range(3))).isdisjoint({threading.get_ident()})


def test_what_making_an_item_raises_is_raised_in_its_place() -> None:
    stream = ahead(1 // (2 - number) for number in range(5))
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert not threads()


def test_an_early_close_ends_the_thread() -> None:
    stream = ahead(counted([], 9))
    next(stream)
    assert threads()
    stream.close()  # type: ignore[attr-defined]
    assert not threads()
