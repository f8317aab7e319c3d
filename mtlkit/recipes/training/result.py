"""The result of a training on tasks, collected from its events."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mtlkit.errors import MtlkitError, listed
from mtlkit.evaluation.figures import ENDING
from mtlkit.inference.scope.scope import Scope
from mtlkit.report.training.forgetting import forgetting_messages
from mtlkit.report.training.freezing import freezing_record, proven
from mtlkit.runs.record import CROSS_VALIDATED
from mtlkit.training.events import BestOfTask, Chosen, Epoch, Event, Forgetting, Part, Parts, TaskState
from mtlkit.training.head_incidents import RowsJudged, ScopeFitted, ScoreInterval, WordsCompared
from mtlkit.training.incidents import Refitted
from mtlkit.training.validation.small_data import Overfitted, StillLearning


class TrainResult:
    """Collects the best evaluation, the best of each task, the forgetting report and the scopes of heads."""

    def __init__(self) -> None:
        self.chosen: Epoch | None = None
        self.bests: tuple[BestOfTask, ...] = ()
        self.forgotten: dict[str, Any] = {}
        self.scopes: dict[str, Scope] = {}
        self.refit: dict[str, Any] = {}
        self.judged: dict[str, RowsJudged] = {}
        self.words: dict[str, WordsCompared] = {}
        self.frozen: list[Part] | None = None
        self.intervals: dict[str, ScoreInterval] = {}
        self.tested: dict[str, dict[str, Any]] = {}
        self.trends: list[dict[str, Any]] = []

    def add(self, event: Event) -> None:
        """Takes an event of the training. Raises MtlkitError if a frozen part has changed."""
        if isinstance(event, Chosen):
            self.chosen, self.bests = event.epoch, event.bests
        elif isinstance(event, Parts):
            check_unchanged(event)
            if event.final:
                self.frozen = proven(event.parts, self.frozen)
        elif isinstance(event, RowsJudged):
            self.judged[event.task] = event
        elif isinstance(event, StillLearning | Overfitted):
            name = "still learning" if isinstance(event, StillLearning) else "overfitted"
            losses = list(event.validation_losses)  # as JSON has them
            self.trends.append({"trend": name, **asdict(event), "validation_losses": losses})
        elif isinstance(event, ScoreInterval):
            self.intervals[event.task] = event
        elif isinstance(event, WordsCompared):
            self.words[event.task] = event
        elif isinstance(event, Refitted):
            self.refit = {"refit": asdict(event)}
        elif isinstance(event, ScopeFitted):
            self.scopes[event.task] = event.scope
        elif isinstance(event, Forgetting):
            self.forgotten = {"forgetting": {**event.report.to_json(), "words": forgetting_messages(event.report)}}

    def metrics(self) -> dict[str, Any]:
        """The metrics for the record of the run. The training must have finished."""
        best = self.chosen
        assert best is not None
        scores = {state.task: {**state.validation, **self._interval(state)} for state in best.tasks}
        weights = {"loss_weights": dict(best.weights)} if best.weights else {}
        per_task = {own.task: {"score": own.score, "epoch": own.epoch, "step": own.step} for own in self.bests}
        compared = {name: asdict(event) for name, event in self.words.items()}
        words = {"bag_of_words": compared} if compared else {}
        tasks = {"best_per_task": per_task} if len(per_task) > 1 else {}
        moment = {"best_epoch": best.epoch, "best_step": best.step} if best.epochs else {}  # solved heads have none
        frozen = {"freezing": freezing_record(self.frozen)} if self.frozen else {}
        tested = {"test": self.tested} if self.tested else {}
        trends = {"loss_trends": self.trends} if self.trends else {}
        figures = {"validation": scores, **tested, "score": best.score, **moment, **trends, **weights, **tasks, **words}
        return {**figures, **self.refit, **frozen, **self.forgotten}

    def _interval(self, state: TaskState) -> dict[str, Any]:
        """The interval of the main metric of a task, if it was measured on the rows that the metric was."""
        found = self.intervals.get(state.task)
        cross_validated = bool(state.validation.get(CROSS_VALIDATED))
        if found is None or state.validation.get(found.metric) is None or found.cross_validated != cross_validated:
            return {}
        return {f"{found.metric}{ENDING}": list(found.interval) if found.interval else None}


def check_unchanged(parts: Parts) -> None:
    """Raises MtlkitError if frozen weights have changed, which would be a bug of mtlkit."""
    for part in parts.parts:
        if part.changed:
            digests = f"SHA-256 of {part.name} was {part.before} and is {part.after}"
            raise MtlkitError(f"frozen but changed: {listed(part.changed)} ({digests}); nothing was saved, please report this")
