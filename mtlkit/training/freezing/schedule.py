"""Updates which weights are frozen during training."""

from __future__ import annotations

from dataclasses import dataclass

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of
from mtlkit.training.freezing.apply import apply_freeze
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.incidents import FreezeChanged


@dataclass
class FreezeSchedule:
    """Tracks the weights that are frozen now: by the rules, or because no task trains them (`idle`). Depends only on epoch and
    step, so checkpoints need not store it.
    """

    freezing: FreezeRules
    idle: frozenset[str]
    weights: frozenset[str] = frozenset()

    def go_to(self, model: MultiTaskModel, epoch: int, steps: int) -> None:
        """Applies the freezing after `steps` steps, in an epoch (from 0)."""
        self.weights = self.freezing.at(epoch, steps) | self.idle
        apply_freeze(model, self.weights)

    def update(self, model: MultiTaskModel, epoch: int, steps: int) -> FreezeChanged | None:
        """Like `go_to`, but returns what changed. The optimizer adds weights automatically once they have a gradient."""
        before = self.weights
        if before == self.freezing.at(epoch, steps) | self.idle:
            return None
        self.go_to(model, epoch, steps)
        thawed, frozen = (tuple(sorted(parts_of(sorted(one)))) for one in (before - self.weights, self.weights - before))
        return FreezeChanged(steps + 1, thawed, frozen)
