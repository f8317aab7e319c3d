"""Progress of long work. Layers below the command line count what they do, and a listener, such as the live view, shows it.

Without a listener, counting costs next to nothing. A listener hears only of work in its own thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

EVERY = 0.1  # seconds between two reports to a listener
ROWS_AT_ONCE = 256  # rows between two looks at the clock

Item = TypeVar("Item")
Kind = Literal["tokenized", "encoded", "compared", "fitted"]  # what `count` counts texts of


@dataclass(frozen=True)
class Working:
    """Progress of a phase without training steps that may take long: `done` of `total` units (None: unknown)."""

    activity: str
    done: int = 0
    total: int | None = None
    unit: str = "texts"


Listener = Callable[[Working | None], None]  # None: the phase is over


class _Counter:
    """A phase and when it was last reported."""

    def __init__(self, listener: Listener, kind: Kind | None, working: Working) -> None:
        self.listener, self.kind, self.working, self.done = listener, kind, working, working.done
        self.report()

    def add(self, number: int) -> None:
        self.done += number
        if time.monotonic() - self.reported >= EVERY:
            self.report()

    def report(self) -> None:
        self.reported = time.monotonic()
        self.listener(replace(self.working, done=self.done))


_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_counter: ContextVar[_Counter | None] = ContextVar("counter", default=None)


def listen(listener: Listener | None) -> Listener | None:
    """Reports progress to `listener` from now on, None for nobody; returns the listener before."""
    before = _listener.get()
    _listener.set(listener)
    return before


@contextmanager
def counting(activity: str, kind: Kind, total: int | None = None, *, done: int = 0, unit: str = "texts") -> Iterator[None]:
    """Reports how far `activity` is while the block runs: `count(kind, ...)` in it adds to the `done` of `total` units."""
    listener = _listener.get()
    if listener is None:
        yield
        return
    before = _counter.get()
    counter = _Counter(listener, kind, Working(activity, done, total, unit))
    _counter.set(counter)
    try:
        yield
        counter.report()
    finally:
        _counter.set(before)
        listener(None)


def count(kind: Kind, texts: int) -> None:
    """Adds to the innermost phase, if it counts this kind of work."""
    counter = _counter.get()
    if counter is not None and counter.kind == kind:
        counter.add(texts)


def counted(items: Iterable[Item], activity: str, total: int | None = None, unit: str = "rows") -> Iterable[Item]:
    """The items; reports how many were made so far."""
    listener = _listener.get()
    return items if listener is None else _counted(items, _Counter(listener, None, Working(activity, 0, total, unit)))


def _counted(items: Iterable[Item], counter: _Counter) -> Iterator[Item]:
    new = 0
    for item in items:
        yield item
        new += 1
        if new == ROWS_AT_ONCE:
            counter.add(new)
            new = 0
    counter.add(new)
    counter.listener(None)
