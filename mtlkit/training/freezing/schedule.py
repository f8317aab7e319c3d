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
    """The weights that are currently frozen: by the rules, or because no task trains them (`idle`).

    They depend only on epoch and step, so checkpoints need not store them.
    """

    freezing: FreezeRules
    idle: frozenset[str]
    weights: frozenset[str] = frozenset()

    def go_to(self, model: MultiTaskModel, epoch: int, steps: int) -> None:
        """Freezes the weights as the rules say after `steps` steps, in epoch `epoch` (from 0)."""
        self.weights = self.freezing.at(epoch, steps) | self.idle
        apply_freeze(model, self.weights)

    def update(self, model: MultiTaskModel, epoch: int, steps: int) -> FreezeChanged | None:
        """Like `go_to`, but returns what changed, or None. The optimizer itself adds weights that start to train."""
        before = self.weights
        if before == self.freezing.at(epoch, steps) | self.idle:
            return None
        self.go_to(model, epoch, steps)
        thawed, frozen = before - self.weights, self.weights - before
        return FreezeChanged(steps + 1, _parts(thawed), _parts(frozen))


def _parts(weights: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(parts_of(sorted(weights))))
