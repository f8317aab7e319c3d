"""Computes waiting requests together: whatever waits when the model is free, up to a number of tokens, goes into one batch."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

Result = Any


@dataclass(frozen=True)
class Piece:
    """A part of a job that is computed in one go; `work` is what `run` gets."""

    work: Any
    tokens: int


@dataclass(eq=False)
class Job:
    """A request: its pieces, in order. Jobs with equal keys can be computed together."""

    key: Hashable
    pieces: Sequence[Piece]
    done: asyncio.Future[list[Result]]
    results: list[Result] = field(default_factory=list)
    next: int = 0  # the number of the next piece

    @property
    def waiting(self) -> int:
        """Tokens that no batch has taken yet."""
        return sum(piece.tokens for piece in self.pieces[self.next :])


class Observer(Protocol):
    """Is told about batches, from the batcher's thread."""

    def batch(self, tokens: int, pieces: int, seconds: float) -> None: ...


class QueueFull(Exception):
    """There is no room for a request; `retry_after` is when there will be, in seconds."""

    def __init__(self, tokens: int, retry_after: float) -> None:
        super().__init__(f"{tokens:,} tokens are waiting")
        self.tokens, self.retry_after = tokens, retry_after


class Batcher:
    """Runs jobs in a thread of its own: `run(key, works)` gives a result for each work.

    Jobs take turns, a piece each, so that a large one does not hold up small ones. `batch_tokens` is the size of a batch and
    `queue_tokens` that of the queue, which takes one job of any size when it is empty.
    """

    def __init__(
        self, run: Callable[[Any, list[Any]], Sequence[Result]], batch_tokens: int, queue_tokens: int, observer: Observer
    ) -> None:
        self.run, self.batch_tokens, self.queue_tokens, self.observer = run, batch_tokens, queue_tokens, observer
        self.jobs: deque[Job] = deque()
        self.queued = 0  # tokens of `jobs` and of requests that have reserved room
        self.speed = 0.0  # tokens per second of recent batches
        self.closing = False
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._work, name="mtlkit-batches", daemon=True)
        self.thread.start()

    def reserve(self, tokens: int) -> None:
        """Reserves room for about so many tokens, until `submit` or `release`. Raises QueueFull."""
        with self.changed:
            if self.queued and self.queued + tokens > self.queue_tokens:
                raise QueueFull(self.queued, self.queued / self.speed if self.speed else 1.0)
            self.queued += tokens

    def release(self, tokens: int) -> None:
        """Gives reserved room back."""
        with self.changed:
            self.queued -= tokens

    async def submit(self, key: Hashable, pieces: Sequence[Piece], reserved: int) -> list[Result]:
        """The results of the pieces, which take the reserved room. A cancelled job leaves the queue. Raises what `run` raises."""
        job = Job(key, pieces, asyncio.get_running_loop().create_future())
        with self.changed:
            self.queued += job.waiting - reserved
            self.jobs.append(job)
            self.changed.notify()
        try:
            return await job.done
        finally:
            self._drop(job)

    def close(self) -> None:
        """Ends the thread after its current batch."""
        with self.changed:
            self.closing = True
            self.changed.notify()
        self.thread.join()

    def _drop(self, job: Job) -> None:
        with self.changed, suppress(ValueError):  # it has left when its last piece was taken
            self.jobs.remove(job)
            self.queued -= job.waiting

    def _work(self) -> None:
        while batch := self._next_batch():
            key, tokens = batch[0][0].key, sum(piece.tokens for _, piece in batch)
            started = time.perf_counter()
            results = self._results(key, [piece.work for _, piece in batch])
            seconds = time.perf_counter() - started
            recent = tokens / max(seconds, 1e-6)
            self.speed = recent if not self.speed else 0.8 * self.speed + 0.2 * recent
            self.observer.batch(tokens, len(batch), seconds)
            for (job, _), result in zip(batch, results, strict=True):
                with suppress(RuntimeError):  # the loop is closed: nobody waits
                    job.done.get_loop().call_soon_threadsafe(_deliver, job, result)

    def _next_batch(self) -> list[tuple[Job, Piece]]:
        """Pieces of jobs with the key of the first one, in turns; empty at the end."""
        with self.changed:
            self.changed.wait_for(lambda: self.jobs or self.closing)
            if self.closing:
                return []
            key, batch, room = self.jobs[0].key, list[tuple[Job, Piece]](), self.batch_tokens
            while room > 0:
                taken = 0
                for job in [job for job in self.jobs if job.key == key]:
                    piece = job.pieces[job.next]
                    if batch and piece.tokens > room:
                        continue
                    batch.append((job, piece))
                    room, taken = room - piece.tokens, taken + 1
                    self.queued -= piece.tokens
                    job.next += 1
                    if job.next == len(job.pieces):
                        self.jobs.remove(job)
                if not taken:
                    break
            if batch[0][0] in self.jobs:  # other keys and jobs come first next time
                self.jobs.rotate(-1)
            return batch

    def _results(self, key: Hashable, works: list[Any]) -> Sequence[Result | BaseException]:
        try:
            return self.run(key, works)
        except Exception as error:
            if len(works) == 1:
                return [error]
        return [self._results(key, [work])[0] for work in works]  # whose text cannot be computed harms no others


def _deliver(job: Job, result: Result | BaseException) -> None:
    """Adds the result of a job's next piece; in the event loop."""
    if job.done.done():
        return
    if isinstance(result, BaseException):
        job.done.set_exception(result)
        return
    job.results.append(result)
    if len(job.results) == len(job.pieces):
        job.done.set_result(job.results)
