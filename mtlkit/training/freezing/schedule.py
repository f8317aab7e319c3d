"""What is frozen as a training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mtlkit.errors import listed
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of
from mtlkit.training.events import Note
from mtlkit.training.freezing.apply import apply_freeze
from mtlkit.training.freezing.rules import FreezeRules


@dataclass
class FreezeSchedule:
    """The `weights` that are frozen now: by the plan, and always because nothing trains them (`idle`)."""

    freezing: FreezeRules
    idle: frozenset[str]
    weights: frozenset[str] = frozenset()

    def go_to(self, model: MultiTaskModel, epoch: int, steps: int) -> None:
        """Freezes what is frozen after so many steps, in an epoch (from 0)."""
        self.weights = self.freezing.at(epoch, steps) | self.idle
        apply_freeze(model, self.weights)

    def after(self, model: MultiTaskModel, epoch: int, steps: int) -> Iterator[Note]:
        """The same, and tells what changes. The optimizer takes up by itself what has a gradient from then on."""
        before = self.weights
        if before == self.freezing.at(epoch, steps) | self.idle:
            return
        self.go_to(model, epoch, steps)
        for verb, weights in (("train", before - self.weights), ("are frozen", self.weights - before)):
            if weights:
                yield Note(f"from step {steps + 1} on {listed(sorted(parts_of(sorted(weights))))} {verb}")
