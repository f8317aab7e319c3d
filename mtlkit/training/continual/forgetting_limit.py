"""A bound on forgetting: stops a training, and knows the last weights that were within it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.evaluator import Evaluator, trained_weights
from mtlkit.training.objectives.base import Objective
from mtlkit.training.state_dict import StateDict, copy_into

CHECKS = 4  # in an epoch: the first alone may lose more than is allowed


class ForgettingLimit:
    """`--max-forgetting POINTS`: no watched task may fall further below its start on its validation rows.

    Points are hundredths of the metric that counts for the task. `kept` are the weights when the bound last held, after `step`
    steps; at first, those of the start.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        watched: Mapping[str, Objective],
        points: float,
        steps_an_epoch: int,
        frozen_params: frozenset[str],
        evaluator: Evaluator,
    ) -> None:
        self.model, self.watched, self.points, self.frozen_params, self.evaluator = (
            model,
            watched,
            points,
            frozen_params,
            evaluator,
        )
        self.every = ceil(steps_an_epoch / CHECKS)
        self.before = self._scores()
        self.kept, self.step = trained_weights(model, frozen_params), 0

    def _scores(self) -> dict[str, float | None]:
        return {name: metrics[self.watched[name].metric] for name, metrics in self.evaluator(self.watched).items()}

    def due(self, place: int) -> bool:
        """Whether to look after so many steps of an epoch, or at its end (0): some times in an epoch."""
        return place % self.every == 0

    def broken(self, steps: int) -> str:
        """Which task fell too far; nothing where none did, and the weights are remembered. Leaves the model in evaluation
        mode."""
        now = self._scores()
        # a score that was undefined at the start cannot fall; one that became undefined has fallen to 0
        falls = {name: 0.0 if before is None else before - (now[name] or 0.0) for name, before in self.before.items()}
        worst = max(falls, key=falls.__getitem__)
        fallen = 100 * falls[worst]
        if fallen > self.points:
            return f"{worst} fell {fallen:.1f} points below its start, and {self.points:g} are allowed"
        self.kept, self.step = trained_weights(self.model, self.frozen_params), steps
        return ""

    def state(self) -> StateDict:
        """All that `load` needs; where the tasks stood before is worked out from the start."""
        return StateDict(self.kept, {"step": self.step})

    def load(self, state: StateDict) -> None:
        copy_into(self.kept, state.tensors)
        self.step = state.plain["step"]
