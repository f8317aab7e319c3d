"""Gives each micro-batch of a step the random numbers that it would draw if one process computed them one after another.

On a CPU, dropout draws one number for each element, and the number of elements follows from the sizes of a micro-batch. So a rank
draws and drops the numbers of the micro-batches that others compute. Where that is not so, as on a GPU, each micro-batch has
random numbers of its own, which depend on the seed and on its place only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn

from mtlkit.model.randomness import Dropout, dropouts
from mtlkit.seeding import generator
from mtlkit.training.rng import RandomState

Work = TypeVar("Work", contravariant=True)
Piece = TypeVar("Piece")
Sizes = Mapping[str, int]  # tokens under BACKBONE, and what the head of each task reads under its name

BACKBONE = ""
CHUNK = 2**16  # random numbers that are drawn and dropped at a time


class Draws(Protocol[Work]):
    """The random numbers of the micro-batches of a step, in their order. The loop calls one of the two for each of them."""

    def own(self, step: int, number: int) -> None:
        """Called before this process computes a micro-batch."""
        ...

    def skip(self, step: int, number: int, piece: Work) -> None:
        """Called instead of computing a micro-batch of another rank."""
        ...


class SeededDraws(Generic[Piece]):
    """Random numbers that depend on the seed, the step and the number of the micro-batch."""

    def __init__(self, random: RandomState, seed: int) -> None:
        self.random, self.seed = random, seed

    def own(self, step: int, number: int) -> None:
        self.random.restart(int(generator(self.seed, "dropout", step, number).integers(2**62)))

    def skip(self, step: int, number: int, piece: Piece) -> None:
        self.own(step, number)  # so that all ranks end a step in the same state


class SkippedDraws(Generic[Piece]):
    """The random numbers that one process would draw.

    How many an element of `sizes_of` draws is learned the first time: `dry_run` computes a micro-batch of another rank, without
    gradients.
    """

    def __init__(
        self,
        model: nn.Module,
        random: RandomState,
        sizes_of: Callable[[Piece], Sizes],
        dry_run: Callable[[Piece], object],
    ) -> None:
        self.model, self.random, self.sizes_of, self.dry_run = model, random, sizes_of, dry_run
        self.layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Dropout)}
        self.learned: dict[tuple[str, ...], dict[str, int]] = {}  # by the layers that are active
        self.dropped = torch.empty(CHUNK, dtype=torch.int64)

    def own(self, step: int, number: int) -> None:
        return None

    def skip(self, step: int, number: int, piece: Piece) -> None:
        active = tuple(name for name, layer in self.layers.items() if layer.training and layer.p)
        if not active:
            return
        rates, sizes = self.learned.setdefault(active, {}), self.sizes_of(piece)
        if sizes.keys() <= rates.keys():
            self._drop(sum(rates[part] * size for part, size in sizes.items()))
            return
        with self._counted() as drawn, torch.no_grad():
            self.dry_run(piece)
        rates |= {part: drawn[part] // size for part, size in sizes.items() if size}

    def _drop(self, count: int) -> None:
        for first in range(0, count, CHUNK):
            self.dropped[: min(CHUNK, count - first)].random_(generator=self.random.cpu)

    @contextmanager
    def _counted(self) -> Iterator[Counter[str]]:
        """Counts the numbers that dropout layers draw, by part of the model."""
        drawn = Counter[str]()

        def counting(part: str) -> Callable[[nn.Module, Any, Any], None]:
            def count(layer: nn.Module, inputs: Any, _: Any) -> None:
                if layer.training and layer.p:
                    drawn[part] += inputs[0].numel()

            return count

        hooks = [layer.register_forward_hook(counting(part_of(name))) for name, layer in self.layers.items()]
        try:
            yield drawn
        finally:
            for hook in hooks:
                hook.remove()


def part_of(layer: str) -> str:
    """The task whose head has this layer, by its name in the model; BACKBONE for all others."""
    where, _, rest = layer.partition(".")
    return rest.partition(".")[0] if where == "heads" else BACKBONE


def can_skip(model: nn.Module, random: RandomState) -> bool:
    """Whether random numbers are drawn on a CPU, one for each element."""
    if random.others or not any(True for _ in dropouts(model)):
        return not random.others
    drawn, dropped = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    torch.empty(7, 5).bernoulli_(0.5, generator=drawn)
    torch.empty(35, dtype=torch.int64).random_(generator=dropped)
    return torch.equal(drawn.get_state(), dropped.get_state())
