"""Which weights are frozen when.

A rule is a pattern over the names of weights. The last active rule that matches a weight decides. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

from mtlkit.config.registries.adapters import SHARED


@dataclass(frozen=True)
class FreezeEnd:
    """When a rule ends: after a number of epochs or steps."""

    unit: Literal["epoch", "step"]
    number: int

    def reached(self, epochs: int, steps: int) -> bool:
        return (epochs if self.unit == "epoch" else steps) >= self.number

    def __str__(self) -> str:
        return f"{self.unit} {self.number}"


@dataclass(frozen=True)
class FreezeRule:
    """One item of `--freeze`: freezes or thaws the weights whose names start with a match of the pattern."""

    item: str
    pattern: re.Pattern[str]
    frozen: bool
    until: FreezeEnd | None = None


@dataclass(frozen=True)
class FreezeRules:
    """All rules for the weights of a model."""

    rules: tuple[FreezeRule, ...]
    weights: tuple[str, ...]

    def at(self, epochs: int, steps: int) -> frozenset[str]:
        """The weights that are frozen after a number of epochs and steps."""
        held = [rule for rule in self.rules if rule.until is None or not rule.until.reached(epochs, steps)]
        return frozenset(name for name in self.weights if self._frozen(name, held))

    @staticmethod
    def _frozen(name: str, rules: Sequence[FreezeRule]) -> bool:
        return next((rule.frozen for rule in reversed(rules) if rule.pattern.match(name)), False)

    @cached_property
    def states(self) -> tuple[frozenset[str], ...]:
        """The sets of frozen weights during training, in order."""
        ends: dict[str, set[int]] = {"epoch": {0}, "step": {0}}
        for rule in self.rules:
            if rule.until:
                ends[rule.until.unit].add(rule.until.number)
        return tuple(dict.fromkeys(self.at(*point) for point in product(sorted(ends["epoch"]), sorted(ends["step"]))))

    @cached_property
    def always(self) -> frozenset[str]:
        """The weights that are frozen throughout."""
        return frozenset.intersection(*self.states)

    def begins(self, weights: Iterable[str]) -> str:
        """When the first of these weights starts training, such as `epoch 2` or `step 101`; empty if at the start."""
        names = set(weights)
        ends = [rule.until for rule in self.rules if rule.until]
        for until in [None, *sorted(ends, key=lambda end: (end.unit, end.number))]:
            epochs, steps = (until.number if until and until.unit == unit else 0 for unit in ("epoch", "step"))
            if not names <= self.at(epochs, steps):
                return f"{until.unit} {until.number + 1}" if until else ""
        return "never"

    def wholly(self, part: str, weights: Iterable[str]) -> bool:
        """Whether these weights include all weights of the `backbone` or of a `head:NAME`."""
        names = {name for name in self.weights if name.startswith(prefix_of(part))}
        return bool(names) and names <= set(weights)

    def keeps(self, part: str) -> bool:
        """Whether all weights of a part are frozen throughout."""
        return self.wholly(part, self.always)


def prefix_of(part: str) -> str:
    """The prefix of the weight names of the `backbone`, of a `head:NAME`, or of an adapter."""
    if part == "adapter":
        return f"adapters.{SHARED}."
    kind, _, task = part.partition(":")
    return f"{kind}s.{task}." if task else f"{part}."
