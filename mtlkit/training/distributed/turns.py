"""What a step needs of the ranks: which micro-batches this process computes, and what it gets from the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor, nn

from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.distributed.draws import Draws
from mtlkit.training.distributed.gathering import Rounds
from mtlkit.training.distributed.ranks import Ranks
from mtlkit.training.losses import LossShares, NamesOf, numbers

Work = TypeVar("Work")
Losses = Mapping[str, float | Tensor]


class Turns(Generic[Work]):
    """One process: computes all micro-batches, and has nothing to exchange."""

    def own(self, step: int, pieces: Sequence[Work]) -> Iterator[Work]:
        """The micro-batches that this process computes, each when its random numbers are due."""
        yield from pieces

    def shares(self, pieces: Sequence[Work], names_of: NamesOf[Work] | None) -> LossShares[Work]:
        """The weights of the losses of micro-batches in the means over a step."""
        return LossShares(pieces, names_of)

    def exchange(self, recorded: Sequence[Losses], weighting: LossWeighting) -> Sequence[Losses]:
        """Adds up the gradients of all ranks. Returns the losses of all micro-batches, from those of this rank's own."""
        return recorded

    def losses_after(self, own: Sequence[Losses]) -> Sequence[Losses]:
        """The losses of all micro-batches after the step, from those of this rank's own."""
        return own


@dataclass(frozen=True)
class SharedTurns(Turns[Work]):
    """Several processes, each of which computes every so manieth micro-batch of a step."""

    ranks: Ranks
    weights: Mapping[str, nn.Parameter]
    draws: Draws[Work]
    rounds: Rounds[Work]

    def own(self, step: int, pieces: Sequence[Work]) -> Iterator[Work]:
        size = self.ranks.size
        for number, piece in enumerate(pieces):
            first = number - number % size
            if self.ranks.owns(number):
                self.draws.own(step, number)
                self.rounds.begin(pieces[first : first + size])
                yield piece
            else:
                self.draws.skip(step, number, piece)
        first = len(pieces) - len(pieces) % size
        if len(pieces) % size <= self.ranks.rank:  # nothing to compute in the last round
            self.rounds.attend(pieces[first:])

    def shares(self, pieces: Sequence[Work], names_of: NamesOf[Work] | None) -> LossShares[Work]:
        return LossShares(pieces, names_of, self.rounds.gathered, self.ranks.size)

    def exchange(self, recorded: Sequence[Losses], weighting: LossWeighting) -> Sequence[Losses]:
        self.ranks.sum_gradients(self.weights)
        weighting.combine(self.ranks)
        return self.ranks.in_order(numbers(recorded))

    def losses_after(self, own: Sequence[Losses]) -> Sequence[Losses]:
        return self.ranks.in_order(numbers(own))
