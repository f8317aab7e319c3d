"""Items that an option accepts by name, some with parameters, such as `temperature:T[:CAP]`.

Each is defined in a module of the package that its registry names. Help, completion, errors and validation read the registries
without importing torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Method:
    """The fields of every method. `form` is its syntax, if that is more than its name. Lists are sorted by `rank`. Help names the
    methods of a `group` together, without their own lines."""

    name: str
    help: str
    form: str = ""
    rank: int = 100
    group: str = ""

    @property
    def syntax(self) -> str:
        return self.form or self.name

    @property
    def fixed_part(self) -> str:
        """The syntax up to its first parameter, for completion: `temperature:`."""
        return re.split(r"[A-Z\[]", self.syntax)[0]


def ordered(methods: Mapping[str, Any]) -> list[Any]:
    """The methods in the order of lists."""
    return sorted(methods.values(), key=lambda method: (method.rank, method.name))


def forms(methods: Mapping[str, Any]) -> list[str]:
    """The syntax of each method."""
    return [method.syntax for method in ordered(methods)]


def described(methods: Mapping[str, Any]) -> str:
    """The sentences of an option's help that describe its methods."""
    groups: dict[str, list[str]] = {}
    sentences = []
    for method in ordered(methods):
        if method.group:
            groups.setdefault(method.group, []).append(method.syntax)
        else:
            sentences.append(f"{method.syntax}: {method.help}")
    sentences += [f"{group}: {', '.join(names)}." for group, names in groups.items()]
    return " ".join(sentences)
