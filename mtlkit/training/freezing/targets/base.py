"""What a freeze target is."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtlkit.config.option import Completes
from mtlkit.config.registries.methods import Method


@dataclass(frozen=True)
class ModelParts:
    """What targets refer to in a model: names of weights, names of heads, and how often each block runs: once for each of the
    layers that share its weights."""

    weights: Sequence[str]
    heads: Sequence[str]
    repeats: Sequence[int]

    @property
    def layers(self) -> int:
        return sum(self.repeats)


@dataclass(frozen=True, kw_only=True)
class FreezeTarget(Method):
    """`pattern` makes an expression that matches the beginnings of the names of the weights to freeze.

    Its arguments are the option as it was typed, with which an error begins; the text after the name and a colon (None: there is
    no colon); and the parts of the model. It returns None for a text that it cannot read, and raises UsageError for one that does
    not fit the model. `examples` lists the ways to write the target for a model, for messages (None: its syntax). `complete` is
    what completion offers after the colon.
    """

    pattern: Callable[[str, str | None, ModelParts], re.Pattern[str] | None]
    examples: Callable[[ModelParts], Sequence[str]] | None = None
    complete: Completes | None = None
    group: str = "Parts"

    def spellings(self, parts: ModelParts) -> Sequence[str]:
        """How the target can be written for a model."""
        return [self.syntax] if self.examples is None else self.examples(parts)
