"""Trains a model towards its objectives, epoch by epoch, and keeps the best weights. Shared by every command but `pretrain`."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, TextIO

from torch import Tensor

from mtlkit.config.training import Schedule, TaskTrainingOptions
from mtlkit.errors import listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.fast import fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of
from mtlkit.training.events import Epoch, Event, Note, Parts, Progress, TaskState
from mtlkit.training.freezing import Freezing, prefix_of
from mtlkit.training.frozen_weights import PartTable, apply_freeze, multiples_of, training_mode
from mtlkit.training.judging import Best, Judge, rank, trained_weights
from mtlkit.training.loop import Step, train
from mtlkit.training.multitask import TaskLosses
from mtlkit.training.objectives import Objective
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.piece_vectors import InMemory, KeptVectors, VectorsOf, WholeBackbone
from mtlkit.training.schedules import Piece, make_plans, spend, work


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


class Fit:
    """One training. A task whose head is frozen is watched: evaluated, not trained on."""

    def __init__(
        self,
        model: MultiTaskModel,
        objectives: Mapping[str, Objective],
        freezing: Freezing,
        schedule: Schedule,
        options: TaskTrainingOptions,
        compute: Compute,
        log: TextIO,
    ) -> None:
        model.to(compute.device)
        self.model, self.objectives, self.freezing = model, objectives, freezing
        self.schedule, self.options, self.compute, self.log = schedule, options, compute, log
        self.idle = idle_heads(model, objectives)
        self.never = freezing.always | self.idle
        self._freeze(freezing.at(0, 0) | self.idle)
        self.multiples = multiples_of(model, options.head_rate, options.layer_lr_decay)
        self.table = PartTable(model, freezing, self.never, options.learning_rate, self.multiples)
        self.mixed = {name: one for name, one in objectives.items() if not (one.head and freezing.wholly(one.head, self.never))}
        self.lengths = {name: objective.train.lengths for name, objective in self.mixed.items()}
        self.plans = make_plans(self.lengths, options.batch_tokens, options.seed)
        self.budget = spend(self.plans, schedule)
        self.best: Best | None = None

    def events(self) -> Iterator[Event]:
        """Trains in place, leaves the best weights in the model and yields what happens."""
        yield Parts(self.table.parts(self.frozen))
        vectors = self._train_vectors()
        judge = Judge(self.model, self.objectives, self.compute, vectors is not None)
        if vectors is not None:
            both = [examples for one in self.objectives.values() for examples in (one.train, one.validation)]
            count = sum(len(examples.encoded) for examples in both)
            yield Note(f"the backbone is frozen: {count:,} texts were encoded once, the heads train on their vectors")
        if len(self.mixed) < len(self.objectives):
            yield self._epoch(0, judge, Account())
        worse, account = 0, Account()
        for step, progress in self._steps(vectors):
            account.add(step)
            if step.skipped:
                yield Note(f"step {step.index + 1} was skipped: its gradient was not finite", warning=True)
            yield progress
            yield from self._thaw(step.index + 1)
            if (step.index + 1) % self.budget.steps:
                continue
            epoch = self._epoch(progress.epoch, judge, account)
            yield epoch
            worse = 0 if epoch.best else worse + 1
            if self.options.patience and worse == self.options.patience:
                yield Note(f"no better score in {worse} epochs: stopped")
                break
            account = Account()
            training_mode(self.model, self.frozen)
        assert self.best is not None
        self.model.load_state_dict(self.best.weights, strict=False)
        self.model.eval()
        yield Parts(self.table.parts(self.frozen, final=True))

    def _freeze(self, frozen: frozenset[str]) -> None:
        self.frozen = frozen
        apply_freeze(self.model, frozen)

    def _thaw(self, steps: int) -> Iterator[Note]:
        """After a step: what is frozen from the next one on. The optimizer takes up by itself what has a gradient."""
        frozen = self.freezing.at(steps // self.budget.steps, steps) | self.idle
        if frozen == self.frozen:
            return
        for verb, weights in (("train", self.frozen - frozen), ("are frozen", frozen - self.frozen)):
            if weights:
                yield Note(f"from step {steps + 1} on {listed(sorted(parts_of(sorted(weights))))} {verb}")
        self._freeze(frozen)
        training_mode(self.model, frozen)

    def _train_vectors(self) -> dict[str, Tensor] | None:
        """Backbone wholly frozen: every training text is encoded once, and the heads train on the vectors."""
        if not self.freezing.wholly("backbone", self.never):
            return None
        self.model.eval()
        fast = fastest(self.model, self.compute)
        return {name: encode_all(fast, objective.train.encoded, self.compute) for name, objective in self.mixed.items()}

    def _steps(self, vectors: dict[str, Tensor] | None) -> Iterator[tuple[Step[Piece], Progress]]:
        vectors_of: VectorsOf = WholeBackbone(self.model, self.mixed, self.compute.device)
        if vectors is not None:
            vectors_of = KeptVectors({name: InMemory(each) for name, each in vectors.items()})
        options, losses = self.options, TaskLosses(self.mixed, vectors_of)
        rate = LearningRate(options.learning_rate, self.budget.steps * options.epochs, options.warmup)
        training_mode(self.model, self.frozen)
        begun, seen = time.monotonic(), 0
        for step in train(
            self.model,
            work(self.plans, self.schedule, self.budget.rounds * options.epochs),
            losses,
            rate,
            weight_decay=options.weight_decay,
            clip=options.clip,
            compute=self.compute,
            multiples=self.multiples,
            describe=losses.describe,
        ):
            seen += sum(int(self.lengths[name][rows].sum()) for name, rows in step.work.items())
            line = {"step": step.index + 1, "losses": step.losses, "gradient_norm": step.gradient_norm, "rate": step.rate}
            self._write({**line, **({"skipped": True} if step.skipped else {})})
            elapsed, epoch = time.monotonic() - begun, step.index // self.budget.steps + 1
            yield step, Progress(step.index + 1, rate.steps, epoch, options.epochs, elapsed, seen / elapsed, step.losses, {})

    def _epoch(self, number: int, judge: Judge, account: Account) -> Epoch:
        """Evaluates every objective and, after an epoch (0 is before training), remembers the weights if they are the best."""
        states = tuple(
            TaskState(
                name,
                objective.kind,
                account.mean(name),
                metrics,
                account.batches[name],
                self.budget.rounds if number and name in self.mixed else 0,
                name not in self.mixed,
            )
            for (name, objective), metrics in zip(self.objectives.items(), judge().values(), strict=True)
        )
        now = rank(states, self.mixed)
        better = number > 0 and (self.best is None or now.beats(self.best.rank))
        if better:
            self.best = Best(now, trained_weights(self.model, self.never))
        self._write({"epoch": number, "tasks": [asdict(state) for state in states]})
        return Epoch(number, self.options.epochs, states, now.score, better)

    def _write(self, line: dict[str, Any]) -> None:
        self.log.write(json.dumps(line) + "\n")


def idle_heads(model: MultiTaskModel, objectives: Mapping[str, Objective]) -> frozenset[str]:
    """The weights of heads that there is no data for: they stay as they are."""
    used = {objective.head for objective in objectives.values()}
    idle = tuple(prefix_of(f"head:{task}") for task in model.tasks if f"head:{task}" not in used)
    return frozenset(name for name, _ in model.named_parameters() if name.startswith(idle))


def fit(
    model: MultiTaskModel,
    objectives: Mapping[str, Objective],
    freezing: Freezing,
    schedule: Schedule,
    options: TaskTrainingOptions,
    compute: Compute,
    log: TextIO,
) -> Iterator[Event]:
    """Trains `model` in place and yields what happens; the last Epoch with `best` is the one whose weights stay."""
    return Fit(model, objectives, freezing, schedule, options, compute, log).events()
