"""The turns of ranks in the training of a base."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from mtlkit.training.distributed.draws import BACKBONE, Draws, SeededDraws, SkippedDraws, can_skip
from mtlkit.training.distributed.gathering import Rounds
from mtlkit.training.distributed.ranks import Ranks
from mtlkit.training.distributed.turns import SharedTurns, Turns
from mtlkit.training.train_state import ModelUpdater


class Tokens(Protocol):
    """A micro-batch of tokens, (T,)."""

    @property
    def ids(self) -> NDArray[np.int64]: ...


Piece = TypeVar("Piece", bound=Tokens)


def language_turns(
    ranks: Ranks, updater: ModelUpdater, model: nn.Module, loss_of: Callable[[Piece], object], seed: int
) -> Turns[Piece]:
    """Which micro-batches of a step this process computes, and how it draws their random numbers."""
    if ranks.size == 1:
        return Turns()
    draws: Draws[Piece] = SeededDraws(updater.random, seed)
    if can_skip(model, updater.random):
        draws = SkippedDraws(model, updater.random, lambda piece: {BACKBONE: len(piece.ids)}, loss_of)
    return SharedTurns(ranks, updater.weights, draws, Rounds())
