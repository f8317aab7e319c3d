"""Registries: things of one sort by name, such as kinds of task or export formats, each defined in a module of its own.

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
    """What a registry holds. `help` is one line for users."""

    @property
    def name(self) -> str: ...

    @property
    def help(self) -> str: ...


Item = TypeVar("Item", bound=Named)


class Registry(MutableMapping[str, Item]):
    """Items by name, in the order of their names. `noun` is what messages call one, `package` the package whose modules define
    them; without it items are only added by hand. As `--help` reads registries, those modules must be quick to import: torch and
    the like belong inside their functions."""

    def __init__(self, noun: str, package: str = "") -> None:
        self.noun, self.package = noun, package
        self._items: dict[str, Item] = {}
        self._lock = threading.RLock()
        self._imported = not package
        self._importing = False

    def add(self, item: Item) -> Item:
        """Adds an item under its name and returns it. Raises ValueError where the name is taken."""
        if item.name in self._items:
            raise ValueError(f"there is already a {self.noun} called '{item.name}'")
        self._items[item.name] = item
        return item

    def find(self, name: str, place: str) -> Item:
        """The item of a name that a user gave. Raises UsageError that begins with `place`, the option or key."""
        if name not in self:
            raise UsageError(f"{place}: no {self.noun} '{shorten(name)}'; choose one of {listed(self)}{suggest(name, self)}")
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
                if not self._imported and not self._importing:  # a module that is being imported may read what is there
                    self._importing = True
                    try:
                        for module in iter_modules(import_module(self.package).__path__):
                            import_module(f"{self.package}.{module.name}")
                        self._imported = True
                    finally:
                        self._importing = False
        return self._items
