"""The adapters of `--adapter` by name. They are defined in `mtlkit/model/adapters/`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mtlkit.config.option import finite, whole
from mtlkit.config.registries.methods import forms
from mtlkit.config.registries.registry import Registry
from mtlkit.errors import UsageError, listed, shorten, suggest

ADAPTERS: Registry[Any] = Registry("adapter", "mtlkit.model.adapters")
SHARED = "*"  # in place of a task: the adapter of all tasks; no task has this name
LAYERS = re.compile(r"layers:(\d{1,6})(?:-(\d{1,6}))?")
MOST_RANK = 2**16


@dataclass(frozen=True)
class AdapterSpec:
    """A low-rank adapter of the linear layers of blocks `first` to `last`: each product gets alpha / rank times another one of
    this rank. `name` is the kind of adapter."""

    name: str
    rank: int
    alpha: float
    first: int
    last: int

    def __post_init__(self) -> None:
        if self.name not in ADAPTERS:
            raise ValueError(f"adapter {shorten(self.name, 20)!r} is not known; known: {listed(ADAPTERS)}")
        if not 1 <= self.rank <= MOST_RANK or not self.alpha > 0 or not 0 <= self.first <= self.last:
            raise ValueError(f"adapter {self} is out of range")

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    @property
    def blocks(self) -> range:
        """The numbers of the adapted blocks."""
        return range(self.first, self.last + 1)

    def __str__(self) -> str:
        return f"{self.name}:{self.rank}:{self.alpha:g}@layers:{self.first}-{self.last}"


@dataclass(frozen=True)
class AdapterChoice:
    """A chosen adapter. `layers` are the first and the last block; None: all of them."""

    name: str
    rank: int
    alpha: float
    layers: tuple[int, int] | None = None

    def of(self, repeats: Sequence[int]) -> AdapterSpec:
        """The adapter for a model with so many blocks, each of which runs as often as `repeats` says. Raises UsageError if it
        does not have the chosen ones.
        """
        blocks, layers = len(repeats), sum(repeats)
        first, last = self.layers or (0, blocks - 1)
        where = f"--adapter {self.name}:{self.rank}@layers:{first}-{last}"
        if last >= blocks and layers > blocks:
            groups = "all their weights" if blocks == 1 else f"their weights in {blocks} groups, layers:0 to layers:{blocks - 1}"
            way = f"write --adapter {self.name}:{self.rank}:{self.alpha:g}"
            raise UsageError(f"{where}: the {layers} layers of this model share {groups}; {way}")
        if last >= blocks:
            raise UsageError(f"{where}: no such layers; the model has 0 to {blocks - 1}, counted from the embeddings up")
        return AdapterSpec(self.name, self.rank, self.alpha, first, last)


def parse_adapter(text: str) -> AdapterChoice:
    """Parses an adapter such as `lora:8:16@layers:3-5`. Raises UsageError."""
    where = f"--adapter {shorten(text)}"
    body, at, layers = text.partition("@")
    name, *numbers = body.split(":")
    if name not in ADAPTERS:
        raise UsageError(f"{where}: no such adapter; choose from {listed(forms(ADAPTERS))}{suggest(name, ADAPTERS)}")
    method = ADAPTERS[name]
    rank = whole(numbers[0], 1) if numbers else None
    alpha = finite(numbers[1]) if len(numbers) > 1 else method.usual_alpha * (rank or 1)
    span = LAYERS.fullmatch(layers) if at else None
    if rank is None or rank > MOST_RANK or alpha is None or alpha <= 0 or len(numbers) > 2 or bool(at) != bool(span):
        raise UsageError(f"{where}: write {method.syntax}, such as {name}:8 or {name}:8:16@layers:3-5")
    if span is None:
        return AdapterChoice(name, rank, alpha)
    first, last = int(span[1]), int(span[2] or span[1])
    if first > last:
        raise UsageError(f"{where}: layers {first}-{last} end before they begin; write layers:{last}-{first}")
    return AdapterChoice(name, rank, alpha, (first, last))
