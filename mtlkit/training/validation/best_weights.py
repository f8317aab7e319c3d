"""Keeps the best weights: those with the best score over all tasks, and optionally those with the best score of each task.

A score on few validation rows is mostly noise, so it chooses nothing: the last weights are kept instead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import BestOfTask, Epoch, TaskState
from mtlkit.training.objectives.base import Objective
from mtlkit.training.state_dict import StateDict
from mtlkit.training.validation.evaluator import BestEpoch, Score, has_validation, rank, trained_weights
from mtlkit.training.validation.small_data import FewValidationRows, NotMeasured

FEW = 50  # validation rows of a task below which its score chooses no epoch


@dataclass(frozen=True)
class BestOfTaskWeights:
    """The best evaluation of a task, or the last one if it has few validation rows; `weights` are those at that step, if they are
    kept. `top` is the highest rank of all evaluations.
    """

    rank: Score
    epoch: int
    step: int
    weights: Mapping[str, Tensor] | None = None
    top: Score | None = None


class BestWeights:
    """Ranks evaluations of `objectives` by `select` and keeps the weights of the best one; with `keep`, also those of each task's
    best one. `frozen_params` never change, so they are not copied.

    Tasks with `few` validation rows, or none, do not count. If no other task does, or with `last`, `keeps_last`: the last
    evaluation is kept, and ranks only decide when patience is exhausted.

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
        rows = {name: len(objective.validation.lengths) for name, objective in objectives.items()}
        self.few = frozenset(name for name, count in rows.items() if count < max(1, FEW))
        self.best: BestEpoch | None = None
        self.top: Score | None = None  # the highest rank so far
        self.chosen: Epoch | None = None  # the event of the best evaluation
        self.tasks: dict[str, BestOfTaskWeights] = {}
        self.worse = 0
        self.each: dict[str, int] = defaultdict(int)

    @property
    def ranked(self) -> dict[str, Objective]:
        """The tasks that evaluations are ranked by."""
        names = list(self.objectives) if self.select in ("mean", "min") else [self.select]
        measured = [name for name in names if has_validation(self.objectives[name])]
        reliable = [name for name in measured if name not in self.few]
        return {name: self.objectives[name] for name in reliable or measured or names}

    @property
    def keeps_last(self) -> bool:
        return self.last or self.few >= self.ranked.keys()

    @property
    def few_rows(self) -> FewValidationRows | None:
        """The event that says what is kept instead of the best epoch; None if all tasks have enough rows."""
        names = self.objectives if self.select in ("mean", "min") else [self.select]
        few = [name for name in names if name in self.few and has_validation(self.objectives[name])]
        rows = {name: len(self.objectives[name].validation.lengths) for name in few}
        by = () if self.keeps_last else tuple(self.ranked)
        return FewValidationRows(rows, by) if rows and not self.last else None

    @property
    def not_measured(self) -> NotMeasured | None:
        """The event about tasks without validation rows; None if all have some."""
        names = tuple(name for name, objective in self.objectives.items() if not has_validation(objective))
        return NotMeasured(names, self.keeps_last) if names and not self.last else None

    def add(self, states: Sequence[TaskState], scores: Mapping[str, float | None], epoch: int, step: int, *, ends: bool) -> bool:
        """Adds an evaluation and returns whether it is the best so far. `ends`: the epoch ends with it."""
        overall = rank(states, self.ranked, self.select)
        improved = self.top is None or self.best is None or overall.beats(self.top)
        better = improved or self.keeps_last
        weights = trained_weights(self.model, self.frozen_params) if better else None
        if weights is not None:
            self.best = BestEpoch(overall, weights, dict(scores))
        if improved:
            self.top = overall
        since = 0 if ends else -1
        self.worse = since if improved else self.worse + ends
        for state in states:
            if state.task in self.objectives:
                self.each[state.task] += ends
                own, known = Score(scores[state.task], state.validation["loss"] or 0.0), self.tasks.get(state.task)
                top = own if known is None or own.beats(known.top or known.rank) else known.top or known.rank
                if top is own:
                    self.each[state.task] = since
                if top is own or state.task in self.few:
                    copies = (weights or trained_weights(self.model, self.frozen_params)) if self.keep else None
                    self.tasks[state.task] = BestOfTaskWeights(own, epoch, step, copies, top)
        return better

    def score(self, states: Sequence[TaskState]) -> float | None:
        """The overall score of an evaluation; None if it is undefined."""
        return rank(states, self.ranked, self.select).score

    def per_task(self) -> tuple[BestOfTask, ...]:
        """The best evaluation of each task, or the last one of a task with few validation rows."""
        return tuple(BestOfTask(name, best.rank.score, best.epoch, best.step, best.weights) for name, best in self.tasks.items())

    def state_dict(self) -> StateDict:
        best = self.best
        weights = {"": best.weights if best else {}, **{task: own.weights or {} for task, own in self.tasks.items()}}
        plain: dict[str, Any] = {
            "best": {"rank": asdict(best.rank), "scores": best.scores} if best else None,
            "tasks": {
                task: {"rank": asdict(own.rank), "epoch": own.epoch, "step": own.step, "top": asdict(own.top or own.rank)}
                for task, own in self.tasks.items()
            },
            "few": sorted(self.few),
            "top": asdict(self.top) if self.top else None,
            "chosen": asdict(self.chosen) if self.chosen else None,
            "worse": self.worse,
            "each": dict(self.each),
        }
        return StateDict(StateDict.join({name: StateDict(tensors) for name, tensors in weights.items()}).tensors, plain)

    def load_state_dict(self, state: StateDict) -> None:
        best = state.plain["best"]
        self.few = frozenset(state.plain.get("few", ()))  # earlier versions ranked by all tasks
        top = state.plain.get("top", best and best["rank"])
        self.top = Score(**top) if top else None
        self.best = BestEpoch(Score(**best["rank"]), self._weights(state, ""), best["scores"]) if best else None
        chosen = state.plain["chosen"]
        if chosen:
            self.chosen = Epoch(**{**chosen, "tasks": tuple(TaskState(**task) for task in chosen["tasks"])})
        self.tasks = {
            task: BestOfTaskWeights(
                Score(**own["rank"]),
                own["epoch"],
                own["step"],
                self._weights(state, task) if self.keep else None,
                Score(**own.get("top", own["rank"])),
            )
            for task, own in state.plain["tasks"].items()
        }
        self.worse, self.each = state.plain["worse"], defaultdict(int, state.plain["each"])

    def _weights(self, state: StateDict, name: str) -> dict[str, Tensor]:
        parameters = dict(self.model.named_parameters())
        return {key: value.to(parameters[key].device, copy=True) for key, value in state.tensors_of(name).items()}
