"""Keeps the best weights: those with the best score over all tasks, and optionally those with the best score of each task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.evaluator import BestEpoch, Score, rank, trained_weights
from mtlkit.training.events import BestOfTask, Epoch, TaskState
from mtlkit.training.objectives.base import Objective
from mtlkit.training.state_dict import StateDict


@dataclass(frozen=True)
class BestOfTaskWeights:
    """The best evaluation of a task; `weights` are those at that step, if they are kept."""

    rank: Score
    epoch: int
    step: int
    weights: Mapping[str, Tensor] | None = None


class BestWeights:
    """Ranks evaluations of `objectives` by `select` and keeps the weights of the best one; with `keep`, also those of each task's
    best one. `frozen_params` never change, so they are not copied.

    With `last`, the latest evaluation counts as the best: there are too few validation rows to choose by their score.

    `worse` counts the epochs since the last improvement of the overall score, `each` those since the last improvement of a task.
    An improvement within an epoch sets a counter to -1.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        objectives: Mapping[str, Objective],
        select: str,
        frozen_params: frozenset[str],
        keep: bool,
        *,
        last: bool = False,
    ) -> None:
        self.last = last
        self.model, self.objectives, self.select, self.frozen_params, self.keep = model, objectives, select, frozen_params, keep
        self.best: BestEpoch | None = None
        self.chosen: Epoch | None = None  # the event of the best evaluation
        self.tasks: dict[str, BestOfTaskWeights] = {}
        self.worse = 0
        self.each: dict[str, int] = defaultdict(int)

    def add(self, states: Sequence[TaskState], scores: Mapping[str, float | None], epoch: int, step: int, *, ends: bool) -> bool:
        """Adds an evaluation and returns whether it is the best so far. `ends`: the epoch ends with it."""
        overall = rank(states, self.objectives, self.select)
        better = self.last or self.best is None or overall.beats(self.best.rank)
        weights = trained_weights(self.model, self.frozen_params) if better else None
        if weights is not None:
            self.best = BestEpoch(overall, weights, dict(scores))
        since = 0 if ends else -1
        self.worse = since if better else self.worse + ends
        for state in states:
            if state.task in self.objectives:
                self.each[state.task] += ends
                own = Score(scores[state.task], state.validation["loss"])
                if state.task not in self.tasks or own.beats(self.tasks[state.task].rank):
                    self.each[state.task] = since
                    copies = (weights or trained_weights(self.model, self.frozen_params)) if self.keep else None
                    self.tasks[state.task] = BestOfTaskWeights(own, epoch, step, copies)
        return better

    def score(self, states: Sequence[TaskState]) -> float | None:
        """The overall score of an evaluation; None if it is undefined."""
        return rank(states, self.objectives, self.select).score

    def per_task(self) -> tuple[BestOfTask, ...]:
        """The best evaluation of each task."""
        return tuple(BestOfTask(name, best.rank.score, best.epoch, best.step, best.weights) for name, best in self.tasks.items())

    def state_dict(self) -> StateDict:
        best = self.best
        weights = {"": best.weights if best else {}, **{task: own.weights or {} for task, own in self.tasks.items()}}
        plain: dict[str, Any] = {
            "best": {"rank": asdict(best.rank), "scores": best.scores} if best else None,
            "tasks": {task: {"rank": asdict(own.rank), "epoch": own.epoch, "step": own.step} for task, own in self.tasks.items()},
            "chosen": asdict(self.chosen) if self.chosen else None,
            "worse": self.worse,
            "each": dict(self.each),
        }
        return StateDict(StateDict.join({name: StateDict(tensors) for name, tensors in weights.items()}).tensors, plain)

    def load_state_dict(self, state: StateDict) -> None:
        best = state.plain["best"]
        self.best = BestEpoch(Score(**best["rank"]), self._weights(state, ""), best["scores"]) if best else None
        chosen = state.plain["chosen"]
        if chosen:
            self.chosen = Epoch(**{**chosen, "tasks": tuple(TaskState(**task) for task in chosen["tasks"])})
        self.tasks = {
            task: BestOfTaskWeights(
                Score(**own["rank"]), own["epoch"], own["step"], self._weights(state, task) if self.keep else None
            )
            for task, own in state.plain["tasks"].items()
        }
        self.worse, self.each = state.plain["worse"], defaultdict(int, state.plain["each"])

    def _weights(self, state: StateDict, name: str) -> dict[str, Tensor]:
        parameters = dict(self.model.named_parameters())
        return {key: value.to(parameters[key].device, copy=True) for key, value in state.tensors_of(name).items()}
