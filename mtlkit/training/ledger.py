"""The books of a training: losses and batches since the epoch began, every evaluation, the best weights so far, the log."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing import Balance
from mtlkit.training.events import Epoch, TaskState
from mtlkit.training.judging import Best, Judge, rank, trained_weights
from mtlkit.training.loop import Step
from mtlkit.training.memory import Memory
from mtlkit.training.objectives import Objective
from mtlkit.training.regime import Mixing
from mtlkit.training.schedules import Mix, Piece


class Account:
    """Train loss and batches of each task since the epoch began."""

    def __init__(self) -> None:
        self.loss: dict[str, float] = defaultdict(float)
        self.texts: dict[str, int] = defaultdict(int)
        self.batches: dict[str, int] = defaultdict(int)

    def add(self, step: Step[Piece]) -> None:
        for piece, losses in zip(step.pieces, step.each, strict=True):
            for name, rows in piece.items():
                self.loss[name] += losses[name] * len(rows)
                self.texts[name] += len(rows)
                self.batches[name] += 1

    def mean(self, name: str) -> float | None:
        return self.loss[name] / self.texts[name] if self.texts[name] else None


@dataclass(frozen=True)
class Books:
    """What a ledger needs to know of the plan: the objectives that learn, how their batches come, how losses are weighed, what
    the best epoch is chosen by."""

    trained: Mapping[str, Objective]
    mix: Mix
    balance: Balance
    mixing: Mixing
    epochs: int


class Ledger:
    """Evaluates every objective when it is asked to, and remembers the weights of the best epoch; `never` are weights that need
    no remembering."""

    def __init__(
        self, model: MultiTaskModel, judge: Judge, books: Books, never: frozenset[str], log: TextIO, memory: Memory | None
    ) -> None:
        self.model, self.judge, self.books, self.never = model, judge, books, never
        self.log, self.memory = log, memory
        self.account = Account()
        self.coverage = books.mix.coverage()
        self.best: Best | None = None
        self.worse = 0

    def add(self, step: Step[Piece]) -> None:
        """Notes a step and writes it to the log."""
        self.account.add(step)
        for piece in step.pieces:
            self.coverage.add(piece)
        line = {"step": step.index + 1, "losses": step.losses, "gradient_norm": step.gradient_norm, "rate": step.rate}
        weights = {"weights": step.weights} if self.books.mixing.balance.changes else {}
        tracked = {"tracking": step.tracked.to_json()} if step.tracked else {}
        self.note({**line, **({"skipped": True} if step.skipped else {}), **weights, **tracked})

    def seen(self) -> str:
        """What of each task was trained on, in words: no row is left out without being counted."""
        names = list(self.books.mix.plans)
        each = {name: self.coverage[name] for name in names}
        words = [f"{name} {one.texts:,} ({one.repeats:.1f} times each row)" for name, one in each.items()]
        left = self.coverage.left_out()
        return f"texts trained on: {', '.join(words)}{f'; rows never seen: {left}' if left else ''}"

    def epoch(self, number: int, place: str = "") -> Epoch:
        """Evaluates after an epoch (0 is before training) and remembers the weights if they are the best; `worse` counts the
        epochs since. `place` names a point within the epoch."""
        objectives = self.judge.objectives
        states = tuple(self._state(name, objectives[name], metrics, number) for name, metrics in self.judge().items())
        now = rank(states, self.books.trained, self.books.mixing.select)
        scores = {state.task: state.validation[objectives[state.task].metric] for state in states}
        better = number > 0 and (self.best is None or now.beats(self.best.rank))
        if better:
            self.best = Best(now, trained_weights(self.model, self.never), scores)
        self.worse = 0 if better else self.worse + 1
        weights = self.books.balance.shown() if number and self.books.mixing.balance.changes else {}
        if number:
            self.books.balance.end_epoch()
        if self.memory and number:
            self.memory.add(place.partition(",")[0] or f"epoch {number}", scores)
        self.note({"epoch": number, "tasks": [asdict(state) for state in states], **({"weights": weights} if weights else {})})
        self.account = Account()
        return Epoch(number, self.books.epochs, states, now.score, better, place, weights)

    def _state(self, name: str, objective: Objective, metrics: dict[str, float], number: int) -> TaskState:
        planned = self.books.mix.planned(number - 1)[name] if number else 0
        watched = name not in self.books.trained
        return TaskState(name, objective.kind, self.account.mean(name), metrics, self.account.batches[name], planned, watched)

    def note(self, line: dict[str, Any]) -> None:
        """Writes a line to the log."""
        self.log.write(json.dumps(line) + "\n")
