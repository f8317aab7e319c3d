"""The processes of a training. `Ranks` is one process on its own, for which every operation returns what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from torch import Tensor, nn

Value = TypeVar("Value")


class Ranks:
    """The `size` processes of a training, of which this one is number `rank`. All call the same operations in the same order.

    Micro-batch j of a step belongs to rank j modulo `size`. Rank 0 alone writes files and prints.
    """

    rank, size = 0, 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def owns(self, number: int) -> bool:
        """Whether this process computes a micro-batch of a step, by its number from 0."""
        return number % self.size == self.rank

    def agreed(self, value: Value) -> list[Value]:
        """The values of all ranks, in their order."""
        return [value]

    def in_order(self, own: Sequence[Value]) -> list[Value]:
        """The values of all micro-batches of a step, from those of each rank's own."""
        return list(own)

    def from_main(self, value: Value) -> Value:
        """The value of rank 0."""
        return value

    def sum_gradients(self, weights: Mapping[str, nn.Parameter]) -> None:
        """Adds up the gradients of all ranks in place. A weight without a gradient on every rank keeps none."""

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Adds up tensors of all ranks in place."""

    def rows_of_all(self, rows: Tensor, counts: Sequence[int]) -> list[Tensor]:
        """The rows, (n, width), of each rank, of which there are `counts`."""
        return [rows]

    def leave(self) -> None:
        """Ends the connection to the others, at the end of the training."""

    def abandon(self) -> None:
        """Leaves after an error. The others may wait for this process, and end when they hear no more of it."""


ALONE = Ranks()
