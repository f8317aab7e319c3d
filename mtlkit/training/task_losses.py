"""The losses of a micro-batch: one for each of its objectives, and one for each guard."""

from __future__ import annotations

from collections.abc import Mapping

from mtlkit.training.continual.guards import Guard
from mtlkit.training.distributed.gathering import Gathering, Inputs
from mtlkit.training.events import GUARD
from mtlkit.training.freezing.features import FeatureSource, Vectors
from mtlkit.training.losses import Losses
from mtlkit.training.objectives.base import Objective, inputs_of_batch
from mtlkit.training.sampling.mixture import MicroBatch


class TaskLosses:
    """Computes the losses of a micro-batch: of its objectives, by task name, and of guards, by `guard:NAME`.

    `vectors_of` computes or loads the vectors of its texts. In several processes, `gathering` gives losses that compare texts
    those of all of them.
    """

    gathering: Gathering | None = None

    def __init__(
        self, objectives: Mapping[str, Objective], vectors_of: FeatureSource, guards: Mapping[str, Guard] | None = None
    ) -> None:
        self.objectives, self.vectors_of, self.guards = objectives, vectors_of, guards or {}

    def __call__(self, piece: MicroBatch) -> Losses:
        vectors = self.vectors_of(piece)
        inputs = self._inputs(piece, vectors)
        if self.gathering:
            inputs |= self.gathering.of_all_ranks(inputs)
        losses = {name: self.objectives[name].loss(*own) for name, own in inputs.items()}
        losses |= {f"{GUARD}{name}": guard.loss(vectors, piece) for name, guard in self.guards.items()}
        return Losses(losses, {name: texts for name, (texts, _) in vectors.items()})

    def alone(self, piece: MicroBatch) -> Losses:
        """The losses of a micro-batch of another rank, without those of guards, which draw no random numbers."""
        inputs = self._inputs(piece, self.vectors_of(piece))
        return Losses({name: self.objectives[name].loss(*own) for name, own in inputs.items()}, {})

    def _inputs(self, piece: MicroBatch, vectors: Vectors) -> Inputs:
        """What the objective of each task reads."""
        return {
            name: inputs_of_batch(self.objectives[name].train, texts, numbers, piece[name])
            for name, (texts, numbers) in vectors.items()
        }

    def describe(self, piece: MicroBatch) -> str:
        """Names the rows of a micro-batch, for the error message about a loss that is not finite."""
        return "; ".join(f"rows {', '.join(map(str, rows))} of '{name}'" for name, rows in piece.items())
