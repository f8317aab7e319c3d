"""The last phase of `pretrain --finish`: a base that predicts the next token learns to predict masked ones from both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from mtlkit.model.prediction_head import PredictionHead
from mtlkit.training.objectives.language import MaskedTokens, NextToken


class TwoHeads(nn.Module):
    """A base and the head of its last phase: everything that either phase trains. Checkpoints of both have the same weights."""

    def __init__(self, base: nn.Module, last_head: PredictionHead) -> None:
        super().__init__()
        self.base, self.last_head = base, last_head


class MaskedFinish:
    """Predicts masked tokens in the last `share` of the steps, with bidirectional attention and a head of its own.

    The optimizer goes on, with its moments and its learning rate; the new head joins it as weights that thaw do. `measure` gives
    the metrics of the first phase at its end, which are kept as `metrics`.
    """

    def __init__(
        self, before: NextToken, objective: MaskedTokens, share: float, measure: Callable[[], dict[str, Any]] = dict
    ) -> None:
        self.before, self.objective, self.share, self.measure = before, objective, share, measure
        self.model = TwoHeads(before.model, objective.model.head)
        objective.model.head.requires_grad_(False)
        self.metrics: dict[str, Any] | None = None

    def steps_of(self, steps: int) -> int:
        """The number of its steps: at least one, and one at least is left to the first phase if there are two."""
        return min(max(1, round(steps * self.share)), max(1, steps - 1))

    def begin(self, *, first: bool) -> None:
        """Turns the base to this phase. `first`: before its first step, when the new head is adapted to the base: it
        begins as that for next tokens, if there is one."""
        encoder, head = self.objective.model.encoder, self.objective.model.head
        encoder.attend("bidirectional")
        if self.before.head is not None:
            self.before.head.requires_grad_(False)
        if first and self.before.head is not None:
            head.load_state_dict(self.before.head.state_dict())
        elif first:
            head.fit_scale(encoder.tokens.weight)
        head.requires_grad_(True)
