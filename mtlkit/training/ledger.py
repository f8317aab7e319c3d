"""The books of a training: losses and batches since the epoch began, every evaluation, the best weights so far, the log."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, TextIO

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Epoch, TaskState
from mtlkit.training.judging import Best, Judge, rank, trained_weights
from mtlkit.training.loop import Step
from mtlkit.training.memory import Memory
from mtlkit.training.objectives import Objective
from mtlkit.training.schedules import Mix, Piece


class Account:
    """Train loss and batches of each task since the epoch began."""

    def __init__(self) -> None:
        self.loss: dict[str, float] = defaultdict(float)
        self.texts: dict[str, int] = defaultdict(int)
        self.batches: dict[str, int] = defaultdict(int)

    def add(self, step: Step[Piece]) -> None:
        for name, rows in step.work.items():
            self.loss[name] += step.losses[name] * len(rows)
            self.texts[name] += len(rows)
            self.batches[name] += 1

    def mean(self, name: str) -> float | None:
        return self.loss[name] / self.texts[name] if self.texts[name] else None


class Ledger:
    """Evaluates every objective when it is asked to, and remembers the weights of the best epoch.

    `trained` are the objectives that decide which is the best, `never` the weights that need no remembering.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        judge: Judge,
        trained: Mapping[str, Objective],
        mix: Mix,
        never: frozenset[str],
        epochs: int,
        log: TextIO,
        memory: Memory | None,
    ) -> None:
        self.model, self.judge, self.trained, self.mix, self.never = model, judge, trained, mix, never
        self.epochs, self.log, self.memory = epochs, log, memory
        self.account = Account()
        self.best: Best | None = None
        self.worse = 0

    def add(self, step: Step[Piece]) -> None:
        """Notes a step and writes it to the log."""
        self.account.add(step)
        line = {"step": step.index + 1, "losses": step.losses, "gradient_norm": step.gradient_norm, "rate": step.rate}
        self._write({**line, **({"skipped": True} if step.skipped else {})})

    def epoch(self, number: int, place: str = "") -> Epoch:
        """Evaluates after an epoch (0 is before training) and remembers the weights if they are the best; `worse` counts the
        epochs since. `place` names a point within the epoch."""
        objectives = self.judge.objectives
        states = tuple(self._state(name, objectives[name], metrics, started=number > 0) for name, metrics in self.judge().items())
        now = rank(states, self.trained)
        scores = {state.task: state.validation[objectives[state.task].metric] for state in states}
        better = number > 0 and (self.best is None or now.beats(self.best.rank))
        if better:
            self.best = Best(now, trained_weights(self.model, self.never), scores)
        self.worse = 0 if better else self.worse + 1
        if self.memory and number:
            self.memory.add(place.partition(",")[0] or f"epoch {number}", scores)
        self._write({"epoch": number, "tasks": [asdict(state) for state in states]})
        self.account = Account()
        return Epoch(number, self.epochs, states, now.score, better, place)

    def _state(self, name: str, objective: Objective, metrics: dict[str, float], *, started: bool) -> TaskState:
        planned = self.mix.batches[name] if started else 0
        watched = name not in self.trained
        return TaskState(name, objective.kind, self.account.mean(name), metrics, self.account.batches[name], planned, watched)

    def _write(self, line: dict[str, Any]) -> None:
        self.log.write(json.dumps(line) + "\n")
