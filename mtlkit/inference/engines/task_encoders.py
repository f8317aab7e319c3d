"""The encoders of a model whose tasks may have adapters of their own. What they share runs once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.inference.engines.fast import SupportsEncode

Encode = Callable[[SupportsEncode], tuple[Tensor, ...]]  # outputs of an encoder for all texts, each (..., dim)


class TaskEncoders:
    """An encoder for texts without a task, `base`, and one for each task that has one of `adapters`, which `make` builds when
    it is first used."""

    def __init__(
        self,
        base: SupportsEncode,
        adapters: Mapping[str, AdapterSpec] | None = None,
        make: Callable[[str], SupportsEncode] | None = None,
    ) -> None:
        self.base, self.make = base, make
        self.adapters = dict(adapters or {}) if make else {}
        self._made: dict[str, SupportsEncode] = {}

    def of(self, task: str | None) -> SupportsEncode:
        """The encoder for a task; None: for texts without one."""
        if task is None or self.make is None or task not in self.adapters:
            return self.base
        if task not in self._made:
            self._made[task] = self.make(task)
        return self._made[task]

    def each(self, tasks: Sequence[str | None], encode: Encode) -> dict[str | None, tuple[Tensor, ...]]:
        """What `encode` gives for each task, which it calls once for all of them."""
        names = list(dict.fromkeys(task if task in self.adapters else None for task in tasks))
        if len(names) == 1 or not Together.fits(self.base.architecture):
            own = {name: encode(self.of(name)) for name in names}
        else:
            depth = min(self.adapters[name].first for name in names if name is not None)
            outputs = encode(Together([self.of(name) for name in names], depth))
            parts = zip(*(output.chunk(len(names), -1) for output in outputs), strict=True)
            own = {name: tuple(map(Tensor.contiguous, of_name)) for name, of_name in zip(names, parts, strict=True)}
        return {task: own[task if task in self.adapters else None] for task in tasks}


@dataclass(frozen=True)
class Together:
    """Several encoders with the same blocks below `depth`, which run once. Their vectors are side by side, (N, encoders * D)."""

    encoders: Sequence[SupportsEncode]
    depth: int

    @staticmethod
    def fits(architecture: Architecture) -> bool:
        """Whether layers can run alone, and vectors are as wide as hidden states, so that those of several encoders are, too."""
        return architecture.transformers is None and architecture.vector_dim == architecture.dim and not architecture.dense

    @property
    def architecture(self) -> Architecture:
        shape = self.encoders[0].architecture
        return replace(shape, dim=len(self.encoders) * shape.dim)

    def encode(self, batch: Batch) -> Tensor:
        return self.encode_from(batch, self.states(batch, self.depth), self.depth)

    def states(self, batch: Batch, depth: int) -> Tensor:
        return self.encoders[0].states(batch, depth)

    def encode_from(self, batch: Batch, states_TD: Tensor, depth: int) -> Tensor:
        return torch.cat([encoder.encode_from(batch, states_TD, depth) for encoder in self.encoders], -1)
