"""The result of a training on tasks, collected from its events."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mtlkit.errors import MtlkitError, listed
from mtlkit.inference.scope.scope import Scope
from mtlkit.report.training.forgetting import forgetting_messages
from mtlkit.report.training.freezing import freezing_record, proven
from mtlkit.training.events import BestOfTask, Chosen, Epoch, Event, Forgetting, Part, Parts
from mtlkit.training.head_incidents import RowsJudged, ScopeFitted, WordsCompared
from mtlkit.training.incidents import Refitted


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
        scores = {state.task: state.validation for state in best.tasks}
        weights = {"loss_weights": dict(best.weights)} if best.weights else {}
        per_task = {own.task: {"score": own.score, "epoch": own.epoch, "step": own.step} for own in self.bests}
        compared = {name: asdict(event) for name, event in self.words.items()}
        words = {"bag_of_words": compared} if compared else {}
        tasks = {"best_per_task": per_task} if len(per_task) > 1 else {}
        moment = {"best_epoch": best.epoch, "best_step": best.step} if best.epochs else {}  # solved heads have none
        frozen = {"freezing": freezing_record(self.frozen)} if self.frozen else {}
        figures = {"validation": scores, "score": best.score, **moment, **weights, **tasks, **words}
        return {**figures, **self.refit, **frozen, **self.forgotten}


def check_unchanged(parts: Parts) -> None:
    """Raises MtlkitError if frozen weights have changed, which would be a bug of mtlkit."""
    for part in parts.parts:
        if part.changed:
            digests = f"SHA-256 of {part.name} was {part.before} and is {part.after}"
            raise MtlkitError(f"frozen but changed: {listed(part.changed)} ({digests}); nothing was saved, please report this")
