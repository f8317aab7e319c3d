"""Validation during a training: statistics since the epoch began, scores of all tasks, the best weights, early stopping."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import Any

from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.best_weights import BestWeights
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.evaluator import Evaluator
from mtlkit.training.events import Epoch, TaskState
from mtlkit.training.incidents import RowsSeen, TaskCoverage, TaskStopped, TrainingStopped
from mtlkit.training.loop import Step
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.base import Objective
from mtlkit.training.plan import Options
from mtlkit.training.sampling.mixture import Piece
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.state_dict import StateDict


class LossAverages:
    """Train loss and batches of each task since the epoch began, and how many of its texts taught nothing."""

    def __init__(self, state: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        found = state or {}
        self.loss: dict[str, float] = defaultdict(float, found.get("loss", {}))
        self.texts: dict[str, int] = defaultdict(int, found.get("texts", {}))
        self.batches: dict[str, int] = defaultdict(int, found.get("batches", {}))
        self.untaught: dict[str, int] = defaultdict(int, found.get("untaught", {}))

    def add(self, step: Step[Piece], objectives: Mapping[str, Objective]) -> None:
        for piece, losses in zip(step.pieces, step.each, strict=True):
            for name, rows in piece.items():
                self.loss[name] += losses[name] * len(rows)
                self.texts[name] += len(rows)
                self.batches[name] += 1
                self.untaught[name] += objectives[name].untaught(rows)

    def mean(self, name: str) -> float | None:
        return self.loss[name] / self.texts[name] if self.texts[name] else None


class ValidationLoop:
    """Evaluates every objective, keeps the best weights, and logs each evaluation with what was trained since the last epoch.

    `start_model` also gets the scores, where forgetting is measured.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        best_weights: BestWeights,
        schedule: StepSchedule,
        weighting: LossWeighting,
        log: MetricsLog,
        start_model: StartModel | None,
    ) -> None:
        self.evaluator, self.best_weights, self.schedule = evaluator, best_weights, schedule
        self.weighting, self.log, self.start_model = weighting, log, start_model
        self.averages = LossAverages()
        self.untaught = Counter[str]()  # before the current epoch
        self.coverage = schedule.mix.coverage()

    def add(self, step: Step[Piece]) -> None:
        """Counts a step; the weights have moved."""
        self.averages.add(step, self.evaluator.objectives)
        for piece in step.pieces:
            self.coverage.add(piece)
        self.evaluator.moved()

    def epoch(self, number: int, steps: int, place: str = "") -> Epoch:
        """Evaluates after an epoch (0: before training) and keeps the weights if they are the best. `place` names a point within
        the epoch where the training ends."""
        found = self._evaluate(number, steps, place, ends=True)
        self.untaught.update(self.averages.untaught)
        self.averages = LossAverages()
        return found

    def within_epoch(self, number: int, steps: int) -> Epoch:
        """The same within an epoch, which continues."""
        return self._evaluate(number, steps, f"epoch {number}, step {steps}", ends=False)

    def _evaluate(self, number: int, steps: int, place: str, *, ends: bool) -> Epoch:
        planned = self.schedule.planned(number - 1) if number else Counter[str]()
        states = tuple(self._task(name, metrics, planned[name]) for name, metrics in self.evaluator().items())
        scores = {state.task: state.validation[self.evaluator.objectives[state.task].metric] for state in states}
        weights = self.weighting.shown() if number and self.weighting.changes else {}
        if number and ends:
            self.weighting.end_epoch()
            if self.start_model:
                self.start_model.add(place.partition(",")[0] or f"epoch {number}", scores)
        better = number > 0 and self.best_weights.add(states, scores, number, steps, ends=ends)
        score = self.best_weights.score(states)
        found = Epoch(number, self.schedule.epochs, states, score, better, place, weights, steps)
        if better:
            self.best_weights.chosen = found
        self.log.evaluation(found, ends=ends)
        return found

    def _task(self, name: str, metrics: dict[str, Any], planned: int) -> TaskState:
        averages, objective = self.averages, self.evaluator.objectives[name]
        texts = averages.texts[name]
        return TaskState(
            task=name,
            kind=objective.kind,
            train_loss=averages.mean(name),
            validation=metrics,
            batches=averages.batches[name],
            planned=planned,
            watched=name not in self.best_weights.objectives,
            texts=texts,
            repeats=texts / len(objective.train.lengths),
            untaught=averages.untaught[name],
        )

    def rows_seen(self) -> RowsSeen:
        """How much of each task the whole training saw: no row is left out without being counted."""
        untaught = self.untaught + Counter(self.averages.untaught)
        each = {name: self.coverage[name] for name in self.schedule.mix.plans}
        return RowsSeen({name: TaskCoverage(one.texts, one.rows, one.unseen, untaught[name]) for name, one in each.items()})

    def state_dict(self) -> StateDict:
        """The log is not part of it."""
        columns = self.start_model.columns if self.start_model else None
        own = {"averages": vars(self.averages), "untaught": self.untaught, "scores": columns}
        best, coverage = self.best_weights.state_dict(), self.coverage.state_dict()
        return StateDict.join({"own": StateDict(plain=own), "best_weights": best, "coverage": coverage})

    def load_state_dict(self, state: StateDict) -> None:
        own = state.part("own").plain
        self.averages = LossAverages(own["averages"])
        self.untaught = Counter(own["untaught"])
        if self.start_model:
            self.start_model.columns = dict(own["scores"])
        self.best_weights.load_state_dict(state.part("best_weights"))
        self.coverage.load_state_dict(state.part("coverage"))


class EarlyStopping:
    """`--patience` and `--task-patience`: stops after epochs without a better score of all tasks together, or of one task."""

    def __init__(self, options: Options, best_weights: BestWeights, schedule: StepSchedule) -> None:
        self.options, self.best_weights, self.schedule = options, best_weights, schedule

    @property
    def all_stopped(self) -> bool:
        """Whether no task is left to train."""
        return self.schedule.left.keys() >= self.best_weights.objectives.keys()

    def after_epoch(self, epoch: int) -> list[TaskStopped | TrainingStopped]:
        """What stops after an epoch, which has been evaluated; tasks that stop leave the schedule."""
        options, best = self.options, self.best_weights
        if options.patience and best.worse == options.patience:
            return [TrainingStopped("patience", best.worse)]
        if not options.task_patience or epoch == options.epochs:
            return []
        stopped: list[TaskStopped | TrainingStopped] = []
        for name in self._waited(self.schedule.left):
            self.schedule.left[name] = epoch
            stopped.append(TaskStopped(name, epoch, best.tasks[name].rank.score, best.tasks[name].epoch))
        return [*stopped, TrainingStopped("no task left")] if self.all_stopped else stopped

    def _waited(self, left: Collection[str]) -> list[str]:
        waited = self.best_weights.each.items()
        return [name for name, epochs in waited if epochs >= self.options.task_patience and name not in left]
