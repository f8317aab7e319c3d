"""Making the next thing while the last one is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The items, each made in a thread while the one before is used: never more than two are held.

    What making one raises is raised here, in its place. The thread ends with the generator, after the item that it is at.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item
            del item  # so that it is gone before the one after next is made
