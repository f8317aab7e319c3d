"""A limit on forgetting: stops a training that exceeds it and keeps the last weights within it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.evaluator import Evaluator, trained_weights
from mtlkit.training.incidents import LimitExceeded
from mtlkit.training.objectives.base import Objective
from mtlkit.training.state_dict import StateDict, copy_into

CHECKS = 4  # per epoch, as the first epoch alone may exceed the limit


class ForgettingLimit:
    """`--max-forgetting POINTS`: the maximum drop of any watched task below the starting model, on its validation rows.

    Points are hundredths of the task's main metric. `kept` are the last weights within the limit, from step `steps`; initially
    those of the starting model.
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
        self.model, self.watched, self.points = model, watched, points
        self.frozen_params, self.evaluator = frozen_params, evaluator
        self.every = ceil(steps_an_epoch / CHECKS)
        self.before = self._scores()
        self.kept, self.step = trained_weights(model, frozen_params), 0

    def _scores(self) -> dict[str, float | None]:
        return {name: metrics[self.watched[name].metric] for name, metrics in self.evaluator(self.watched).items()}

    def due(self, place: int) -> bool:
        """Whether to check after `place` steps of an epoch (0: at its end): CHECKS times per epoch."""
        return place % self.every == 0

    def check(self, steps: int) -> LimitExceeded | None:
        """Returns the task that exceeds the limit, or None, and then keeps the weights. Leaves the model in eval mode."""
        now = self._scores()
        # a score undefined at the start cannot fall; one that became undefined has fallen to 0
        falls = {name: 0.0 if before is None else before - (now[name] or 0.0) for name, before in self.before.items()}
        worst = max(falls, key=falls.__getitem__)
        fallen = 100 * falls[worst]
        if fallen > self.points:
            return LimitExceeded(worst, fallen, self.points, self.step)
        self.kept, self.step = trained_weights(self.model, self.frozen_params), steps
        return None

    def state_dict(self) -> StateDict:
        """The state for `load_state_dict`; initial scores are recomputed from the starting model."""
        return StateDict(self.kept, {"step": self.step})

    def load_state_dict(self, state: StateDict) -> None:
        copy_into(self.kept, state.tensors)
        self.step = state.plain["step"]
