"""The books of a training: losses and batches since the epoch began, every evaluation, the best weights so far, the log."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from mtlkit.config.from_json import to_json
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.best_weights import BestWeights
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.evaluator import Evaluator
from mtlkit.training.events import Epoch, TaskState
from mtlkit.training.loop import Step
from mtlkit.training.objectives.base import Objective
from mtlkit.training.plan import MixtureOptions
from mtlkit.training.sampling.mixture import Piece
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.state_dict import StateDict


class LossAverages:
    """Train loss and batches of each task since the epoch began, and how many texts taught nothing."""

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


@dataclass(frozen=True)
class Books:
    """What a ledger needs to know of the plan: the objectives that learn, how their batches come, how losses are weighed and what
    the best epoch is chosen by."""

    trained: Mapping[str, Objective]
    step_schedule: StepSchedule
    balance: LossWeighting
    mixing: MixtureOptions


class MetricsLog:
    """Evaluates the objectives, writes the metrics to the log and keeps the best weights; `frozen_params` never change and are
    not copied."""

    def __init__(
        self,
        model: MultiTaskModel,
        evaluator: Evaluator,
        books: Books,
        frozen_params: frozenset[str],
        log: TextIO,
        memory: StartModel | None,
    ) -> None:
        self.evaluator, self.books, self.log, self.memory = evaluator, books, log, memory
        self.best_weights = BestWeights(model, books.trained, books.mixing.select, frozen_params, books.mixing.keep_best)
        self.account = LossAverages()
        self.untaught = Counter[str]()  # before the epoch that is under way
        self.coverage = books.step_schedule.mix.coverage()

    def add(self, step: Step[Piece]) -> None:
        """Notes a step and writes it to the log."""
        self.account.add(step, self.evaluator.objectives)
        for piece in step.pieces:
            self.coverage.add(piece)
        line = {"step": step.index + 1, "losses": step.losses, "gradient_norm": step.gradient_norm, "rate": step.rate}
        weights = {"weights": step.weights} if self.books.mixing.balance.changes else {}
        tracked = {"tracking": step.tracked.to_json()} if step.tracked else {}
        spike = {"spike": step.spike} if step.spike else {}
        self.note({**line, **({"skipped": True} if step.skipped else {}), **spike, **weights, **tracked})

    def seen(self) -> str:
        """What of each task was trained on, in words: no row is left out without being counted."""
        each = {name: self.coverage[name] for name in self.books.step_schedule.mix.plans}
        words = [f"{name} {one.texts:,} ({one.repeats:.1f} times each row)" for name, one in each.items()]
        left = self.coverage.left_out()
        return f"texts trained on: {', '.join(words)}{f'; rows frozen_params seen: {left}' if left else ''}"

    def taught_nothing(self) -> list[str]:
        """A sentence on each task of which some texts were in batches that teach nothing of them."""
        return [
            f"{name}: {count:,} of {self.coverage[name].texts:,} texts taught nothing, as nothing in their batch differed from "
            "them; larger batches (--batch-tokens) or fewer equal texts help"
            for name, count in (self.untaught + Counter(self.account.untaught)).items()
        ]

    def epoch(self, number: int, steps: int, place: str = "") -> Epoch:
        """Evaluates after an epoch (0 is before training) and remembers the weights if they are the best. `place` names a point
        within the epoch where the training ends."""
        states = self._states(number)
        weights = self._weights(number)
        if number:
            self.books.balance.end_epoch()
        if self.memory and number:
            self.memory.add(place.partition(",")[0] or f"epoch {number}", self._scores(states))
        found = self._take(states, number, steps, place, weights, ends=True)
        self.note({"epoch": number, "tasks": [asdict(state) for state in states], **({"weights": weights} if weights else {})})
        self.untaught.update(self.account.untaught)
        self.account = LossAverages()
        return found

    def look(self, number: int, steps: int) -> Epoch:
        """The same within an epoch, which goes on."""
        states = self._states(number)
        weights = self._weights(number)
        self.note({"step": steps, "tasks": [asdict(state) for state in states], **({"weights": weights} if weights else {})})
        return self._take(states, number, steps, f"epoch {number}, step {steps}", weights, ends=False)

    def _weights(self, number: int) -> dict[str, float]:
        """Those of the losses since the epoch began, where they change."""
        return self.books.balance.shown() if number and self.books.mixing.balance.changes else {}

    def _take(
        self, states: tuple[TaskState, ...], number: int, steps: int, place: str, weights: Mapping[str, float], *, ends: bool
    ) -> Epoch:
        better = number > 0 and self.best_weights.add(states, self._scores(states), number, steps, ends=ends)
        epochs, score = self.books.step_schedule.epochs, self.best_weights.score(states)
        found = Epoch(number, epochs, states, score, better, place, weights, steps)
        if better:
            self.best_weights.chosen = found
        return found

    def _scores(self, states: tuple[TaskState, ...]) -> dict[str, float | None]:
        return {state.task: state.validation[self.evaluator.objectives[state.task].metric] for state in states}

    def _states(self, number: int) -> tuple[TaskState, ...]:
        planned = self.books.step_schedule.planned(number - 1) if number else Counter[str]()
        return tuple(self._state(name, metrics, planned[name]) for name, metrics in self.evaluator().items())

    def _state(self, name: str, metrics: dict[str, Any], planned: int) -> TaskState:
        account, objective = self.account, self.evaluator.objectives[name]
        texts = account.texts[name]
        seen = (
            account.batches[name],
            planned,
            name not in self.books.trained,
            texts,
            texts / len(objective.train.lengths),
            account.untaught[name],
        )
        return TaskState(name, objective.kind, account.mean(name), metrics, *seen)

    def state(self) -> StateDict:
        """All that `load` needs; the log is not part of it."""
        own = {"account": vars(self.account), "untaught": self.untaught, "memory": self.memory.columns if self.memory else None}
        return StateDict.join(
            {"own": StateDict(plain=own), "bests": self.best_weights.state(), "coverage": self.coverage.state()}
        )

    def load(self, state: StateDict) -> None:
        own = state.part("own").plain
        self.account = LossAverages(own["account"])
        self.untaught = Counter(own.get("untaught", {}))
        if self.memory:
            self.memory.columns = dict(own["memory"])
        self.best_weights.load(state.part("bests"))
        self.coverage.load(state.part("coverage"))

    def note(self, line: dict[str, Any]) -> None:
        """Writes a line to the log."""
        self.log.write(to_json(line) + "\n")
