"""The last phase of `pretrain --finish`: a base that predicts the next token learns to predict masked ones from both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtlkit.errors import UsageError, counted
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.training.objectives.language import MaskedTokens, NextToken
from mtlkit.training.optimizer import RateSchedule

MOST_COUNTED = 1_000_000  # tokens of text whose frequencies the new head begins with


class TwoHeads(nn.Module):
    """A base and the head of its last phase: everything that either phase trains. Checkpoints of both have the same weights."""

    def __init__(self, base: nn.Module, last_head: PredictionHead) -> None:
        super().__init__()
        self.base, self.last_head = base, last_head


class MaskedFinish:
    """Predicts masked tokens in the last `share` of the steps, with bidirectional attention and a new head.

    The optimizer keeps its moments, and the learning rate warms up again (`TwoRates`). `measure` gives the metrics of
    the first phase at its end, which are kept as `metrics`.
    """

    def __init__(
        self, before: NextToken, objective: MaskedTokens, share: float, measure: Callable[[], dict[str, Any]] = dict
    ) -> None:
        self.before, self.objective, self.share, self.measure = before, objective, share, measure
        self.model = TwoHeads(before.model, objective.model.head)
        objective.model.head.requires_grad_(False)
        self.metrics: dict[str, Any] | None = None

    def steps_of(self, steps: int) -> int:
        """The number of its steps: at least one, and at least one is left to the first phase. Raises UsageError for one step."""
        if steps < 2:
            raise UsageError(
                f"--finish mlm:{self.share:g} makes two phases, and the training has only {counted(steps, 'step')}; give more "
                "--tokens, --epochs or texts, or remove it"
            )
        return min(max(1, round(steps * self.share)), steps - 1)

    def begin(self, ids: NDArray[Any], *, first: bool) -> None:
        """Turns the base to this phase. `first`: before its first step, when the new head is adapted to the base and the texts,
        which have these token ids. It predicts their frequencies, which is better than chance; the head for next tokens would be
        worse than that, and further from what is to be learned."""
        encoder, head = self.objective.model.encoder, self.objective.model.head
        encoder.attend("bidirectional")
        if self.before.head is not None:
            self.before.head.requires_grad_(False)
        if first:
            head.fit_scale(encoder.tokens.weight)
            with torch.no_grad():
                head.bias.copy_(log_frequencies(ids, len(head.bias)))
        head.requires_grad_(True)


def log_frequencies(ids: NDArray[Any], vocabulary: int) -> Tensor:
    """The logarithm of each token's share of the texts, (V,), from at most about a million of T tokens."""
    counts = np.bincount(ids[:: len(ids) // MOST_COUNTED + 1], minlength=vocabulary) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum())).float()


@dataclass(frozen=True)
class TwoRates:
    """The learning rates of two phases, the second of which begins at step `turn`."""

    first: RateSchedule
    last: RateSchedule
    turn: int

    def at(self, step: int) -> float:
        return self.first.at(step) if step < self.turn else self.last.at(step - self.turn)
