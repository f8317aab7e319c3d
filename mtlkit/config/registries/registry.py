"""Registries: items of the same sort by name, such as kinds of task or export formats, each defined in its own module.

The modules of a registry's package are imported when the registry is first read, and each adds what it defines. To add a kind of
task, for example, a file in `tasks/` is enough. Lower layers read a registry without importing the layer that fills it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, TypeVar

from mtlkit.errors import UsageError, listed, shorten, suggest


class Named(Protocol):
    """An item of a registry. `help` is one line for users."""

    @property
    def name(self) -> str: ...

    @property
    def help(self) -> str: ...


Item = TypeVar("Item", bound=Named)


class Registry(MutableMapping[str, Item]):
    """Items by name, in the order of their names.

    `noun` is the word for an item in messages. The modules of `package` define the items; without it, items are only added by
    hand. `--help` reads registries, so these modules must be quick to import: they import torch and the like inside functions.
    """

    def __init__(self, noun: str, package: str = "") -> None:
        self.noun, self.package = noun, package
        self._items: dict[str, Item] = {}
        self._lock = threading.RLock()
        self._imported = not package
        self._importing = False

    def add(self, item: Item) -> Item:
        """Adds an item under its name and returns it. Raises ValueError if the name is taken."""
        if item.name in self._items:
            raise ValueError(f"there is already a {self.noun} called '{item.name}'")
        self._items[item.name] = item
        return item

    def find(self, name: str, where: str) -> Item:
        """The item with this name, which a user typed. Raises UsageError that begins with `where`, the option or key."""
        if name not in self:
            raise UsageError(f"{where}: no {self.noun} '{shorten(name)}'; choose one of {listed(self)}{suggest(name, self)}")
        return self[name]

    def __getitem__(self, name: str) -> Item:
        return self._all()[name]

    def __setitem__(self, name: str, item: Item) -> None:
        self._all()[name] = item

    def __delitem__(self, name: str) -> None:
        del self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._all()))

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, Item]:
        """The items, once the modules that define them are imported."""
        if not self._imported:
            with self._lock:
                if not self._imported and not self._importing:  # a module may read the registry while it is imported
                    self._importing = True
                    try:
                        for module in iter_modules(import_module(self.package).__path__):
                            import_module(f"{self.package}.{module.name}")
                        self._imported = True
                    finally:
                        self._importing = False
        return self._items
