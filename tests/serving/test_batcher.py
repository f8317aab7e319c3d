"""The batcher, with a function in place of a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from mtlkit.serving.batcher import Batcher, Piece, QueueFull

Batch = tuple[Any, list[Any]]


class Held:
    """Doubles numbers, fails for 13, and waits before its first batch until it is let go."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.tokens: list[int] = []
        self.go = threading.Event()

    def __call__(self, key: Any, works: list[Any]) -> Sequence[Any]:
        self.go.wait(20)
        self.batches.append((key, works))
        if 13 in works:
            raise ValueError("13")
        return [2 * work for work in works]

    def batch(self, tokens: int, pieces: int, seconds: float) -> None:
        self.tokens.append(tokens)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def batcher(held: Held) -> Iterator[Batcher]:
    batcher = Batcher(held, batch_tokens=10, queue_tokens=40, observer=held)
    yield batcher
    held.go.set()
    batcher.close()
    assert not batcher.thread.is_alive()


def send(batcher: Batcher, key: str, *works: int, tokens: int = 2) -> asyncio.Task[list[Any]]:
    batcher.reserve(tokens * len(works))
    return asyncio.ensure_future(batcher.submit(key, [Piece(work, tokens) for work in works], tokens * len(works)))


def together(
    held: Held, batcher: Batcher, arrange: Callable[[], list[asyncio.Task[list[Any]]]]
) -> list[list[Any] | BaseException]:
    """The results of jobs that all wait behind a first one."""

    async def run() -> list[list[Any] | BaseException]:
        first = send(batcher, "first", 0)
        while batcher.jobs or batcher.queued != 0:  # until it is in the model's hands
            await asyncio.sleep(0.001)
        jobs = arrange()
        await asyncio.sleep(0)
        held.go.set()
        await first
        return await asyncio.gather(*jobs, return_exceptions=True)

    return asyncio.run(run())


def test_what_waits_is_computed_together(held: Held, batcher: Batcher) -> None:
    results = together(held, batcher, lambda: [send(batcher, "a", number) for number in range(1, 8)])
    assert results == [[2 * number] for number in range(1, 8)]
    assert held.batches[1:] == [("a", [1, 2, 3, 4, 5]), ("a", [6, 7])]
    assert held.tokens == [2, 10, 4]
    assert batcher.queued == 0


def test_a_large_job_does_not_hold_up_small_ones(held: Held, batcher: Batcher) -> None:
    large = list(range(20, 28))
    results = together(held, batcher, lambda: [send(batcher, "a", *large, tokens=4), send(batcher, "a", 1, tokens=4)])
    assert results == [[2 * number for number in large], [2]]
    assert held.batches[1] == ("a", [20, 1])


def test_jobs_of_another_kind_take_turns(held: Held, batcher: Batcher) -> None:
    together(held, batcher, lambda: [send(batcher, "a", 1, 2, 3, tokens=6), send(batcher, "b", 4), send(batcher, "a", 5)])
    assert [key for key, _ in held.batches] == ["first", "a", "b", "a", "a"]
    assert held.batches[1] == ("a", [1, 5])


def test_one_failure_harms_no_others(held: Held, batcher: Batcher) -> None:
    results = together(held, batcher, lambda: [send(batcher, "a", 1), send(batcher, "a", 13, 2), send(batcher, "a", 3)])
    assert results[0] == [2]
    assert isinstance(results[1], ValueError)
    assert results[2] == [6]
    assert batcher.queued == 0


def test_a_cancelled_job_leaves_the_queue(held: Held, batcher: Batcher) -> None:
    def arrange() -> list[asyncio.Task[list[Any]]]:
        jobs = [send(batcher, "a", 1), send(batcher, "a", 2)]
        asyncio.get_running_loop().call_soon(jobs[0].cancel)
        return jobs

    results = together(held, batcher, arrange)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1] == [4]
    assert batcher.queued == 0


def test_a_full_queue_takes_no_more(held: Held, batcher: Batcher) -> None:
    batcher.reserve(1000)  # an empty one takes anything
    with pytest.raises(QueueFull) as full:
        batcher.reserve(1)
    assert full.value.retry_after == 1.0  # unknown so far
    batcher.release(1000)
    batcher.speed = 10.0
    batcher.reserve(35)
    batcher.reserve(5)
    with pytest.raises(QueueFull) as full:
        batcher.reserve(1)
    assert full.value.retry_after == 4.0
    batcher.release(40)
