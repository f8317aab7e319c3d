"""A limit on forgetting: stops a training that exceeds it, and keeps the last weights within it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.incidents import LimitExceeded
from mtlkit.training.objectives.base import Objective
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.validation.evaluator import Evaluator, trained_weights

CHECKS = 4  # per epoch, as the first epoch alone may exceed the limit


class ForgettingLimit:
    """`--max-forgetting POINTS`: no watched task may score more than `points` below the starting model.

    Scores are the main metrics on the validation rows; a point is 0.01. `kept` are copies of the last weights within the limit,
    taken after `step` steps (0: those of the starting model). Leaves the model in eval mode.
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

    def due(self, steps_in_epoch: int) -> bool:
        """Whether to check after so many steps of an epoch (0: at its end)."""
        return steps_in_epoch % self.every == 0

    def check(self, steps: int) -> LimitExceeded | None:
        """Evaluates the watched tasks after `steps` steps of the training. Returns the worst task if it exceeds the limit;
        otherwise keeps a copy of the weights and returns None. Leaves the model in eval mode.
        """
        now = self._scores()
        # a score that was undefined at the start cannot drop; one that became undefined counts as 0
        drops = {name: 0.0 if before is None else before - (now[name] or 0.0) for name, before in self.before.items()}
        worst = max(drops, key=drops.__getitem__)
        points = 100 * drops[worst]
        if points > self.points:
            return LimitExceeded(worst, points, self.points, self.step)
        self.kept, self.step = trained_weights(self.model, self.frozen_params), steps
        return None

    def state_dict(self) -> StateDict:
        """The state for `load_state_dict`, without the initial scores, which are recomputed from the starting model."""
        return StateDict(self.kept, {"step": self.step})

    def load_state_dict(self, state: StateDict) -> None:
        copy_into(self.kept, state.tensors)
        self.step = state.plain["step"]
