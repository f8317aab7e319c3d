"""Validation during training: averages since the epoch began, evaluation of all tasks, best weights, early stopping."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.events import Epoch, TaskState
from mtlkit.training.incidents import RowsSeen, TaskCoverage, TaskStopped, TrainingStopped
from mtlkit.training.loop import Step
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.base import Objective
from mtlkit.training.plan import Options
from mtlkit.training.sampling.mixture import MicroBatch
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.state_dict import StateDict
from mtlkit.training.validation.best_weights import BestWeights
from mtlkit.training.validation.evaluator import Evaluator
from mtlkit.training.validation.trends import EpochLosses, LossTrends


class LossAverages:
    """Sums by task since the epoch began: training loss over texts, numbers of texts and batches, and `untaught` texts, which
    contributed no gradient. `state` is `vars` of an earlier object.
    """

    def __init__(self, state: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        state = state or {}
        self.loss: dict[str, float] = defaultdict(float, state.get("loss", {}))
        self.texts: dict[str, int] = defaultdict(int, state.get("texts", {}))
        self.batches: dict[str, int] = defaultdict(int, state.get("batches", {}))
        self.untaught: dict[str, int] = defaultdict(int, state.get("untaught", {}))

    def add(self, step: Step[MicroBatch], objectives: Mapping[str, Objective]) -> None:
        for piece, losses in zip(step.pieces, step.each, strict=True):
            for name, rows in piece.items():
                self.loss[name] += losses[name] * len(rows)
                self.texts[name] += len(rows)
                self.batches[name] += 1
                self.untaught[name] += objectives[name].untaught(rows)

    def mean(self, name: str) -> float | None:
        """The mean training loss of a task; None without texts."""
        return self.loss[name] / self.texts[name] if self.texts[name] else None


class ValidationLoop:
    """Evaluates all objectives at the end of an epoch or within it, keeps the best weights, and logs each evaluation.

    If forgetting is measured, `start_model` records the scores of each epoch.
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
        self.averages, self.trends = LossAverages(), LossTrends()
        self.untaught = Counter[str]()  # in all epochs before the current one
        self.coverage = schedule.mix.coverage()

    def add(self, step: Step[MicroBatch]) -> None:
        """Counts a step that has been taken."""
        self.averages.add(step, self.evaluator.objectives)
        for piece in step.pieces:
            self.coverage.add(piece)
        self.evaluator.moved()

    def epoch(self, number: int, steps: int, place: str = "") -> Epoch:
        """Evaluates at the end of epoch `number` (0: before training), after `steps` steps, and keeps the weights if they are the
        best. `place` describes where the training stops if it is within the epoch.
        """
        evaluation = self._evaluate(number, steps, place, ends=True)
        self.untaught.update(self.averages.untaught)
        self.averages = LossAverages()
        return evaluation

    def within_epoch(self, number: int, steps: int) -> Epoch:
        """Like `epoch`, but within an epoch, which continues."""
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
        last = self.best_weights.keeps_last
        evaluation = Epoch(number, self.schedule.epochs, states, score, better, place, weights, steps, last)
        if better:
            self.best_weights.chosen = evaluation
        if number and ends:
            self._add_trends(states)
        self.log.evaluation(evaluation, ends=ends)
        return evaluation

    def _add_trends(self, states: Sequence[TaskState]) -> None:
        for state in states:
            if not state.watched and state.train_loss is not None and state.validation["loss"] is not None:
                score = state.validation[self.evaluator.objectives[state.task].metric]
                self.trends.add(state.task, EpochLosses(state.train_loss, state.validation["loss"], score))

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
        """The event that reports how much of each task the training has seen so far."""
        untaught = self.untaught + Counter(self.averages.untaught)
        seen = {name: self.coverage[name] for name in self.coverage}
        return RowsSeen(
            {name: TaskCoverage(counts.texts, counts.rows, counts.unseen, untaught[name]) for name, counts in seen.items()}
        )

    def state_dict(self) -> StateDict:
        """The state for `load_state_dict`, without the log, which checkpoints save separately."""
        columns = self.start_model.columns if self.start_model else None
        own = {"averages": vars(self.averages), "untaught": self.untaught, "scores": columns, "trends": self.trends.epochs}
        best, coverage = self.best_weights.state_dict(), self.coverage.state_dict()
        return StateDict.join({"own": StateDict(plain=own), "best_weights": best, "coverage": coverage})

    def load_state_dict(self, state: StateDict) -> None:
        own = state.part("own").plain
        self.averages = LossAverages(own["averages"])
        self.untaught, self.trends = Counter(own["untaught"]), LossTrends(own.get("trends"))
        if self.start_model:
            self.start_model.columns = dict(own["scores"])
        self.best_weights.load_state_dict(state.part("best_weights"))
        self.coverage.load_state_dict(state.part("coverage"))


class EarlyStopping:
    """Stops the training after `--patience` epochs in which the overall score did not improve, and a task after `--task-patience`
    epochs in which its own score did not.
    """

    def __init__(self, options: Options, best_weights: BestWeights, schedule: StepSchedule) -> None:
        self.options, self.best_weights, self.schedule = options, best_weights, schedule

    @property
    def all_stopped(self) -> bool:
        """Whether all tasks have stopped training because they no longer improve."""
        return self.options.task_patience > 0 and self.schedule.left.keys() >= self.best_weights.objectives.keys()

    def after_epoch(self, epoch: int) -> list[TaskStopped | TrainingStopped]:
        """The events of what stops after an epoch, called after its evaluation. Tasks that stop leave the schedule."""
        options, best = self.options, self.best_weights
        if options.patience and best.worse == options.patience:
            return [TrainingStopped("patience", best.worse)]
        if not options.task_patience or epoch == options.epochs:
            return []
        stopped: list[TaskStopped | TrainingStopped] = []
        for name in self._without_progress():
            self.schedule.left[name] = epoch
            stopped.append(TaskStopped(name, epoch, best.tasks[name].rank.score, best.tasks[name].epoch))
        return [*stopped, TrainingStopped("no task left")] if self.all_stopped else stopped

    def _without_progress(self) -> list[str]:
        """The tasks that still train and whose patience is exhausted."""
        left, patience = self.schedule.left, self.options.task_patience
        return [name for name, epochs in self.best_weights.each.items() if epochs >= patience and name not in left]
