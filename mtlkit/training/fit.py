"""Trains a model towards its objectives, epoch by epoch, and keeps the best weights. Shared by every command but `pretrain`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TextIO

from mtlkit.config.training import TaskTrainingOptions
from mtlkit.data.tokenizer import Encoded
from mtlkit.errors import listed
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of
from mtlkit.training.accumulation import group_sizes
from mtlkit.training.bound import Bound
from mtlkit.training.events import Event, Forgetting, Note, Parts, Progress, Tracking
from mtlkit.training.freezing import prefix_of
from mtlkit.training.frozen_weights import PartTable, apply_freeze, multiples_of, prefix_depth, training_mode
from mtlkit.training.guards import Beginning, Guard
from mtlkit.training.judging import Judge
from mtlkit.training.kept import keep_states, keep_vectors
from mtlkit.training.ledger import Books, Ledger
from mtlkit.training.loop import Step, train
from mtlkit.training.make_balance import make_balance
from mtlkit.training.memory import Memory
from mtlkit.training.multitask import TaskLosses
from mtlkit.training.objectives import HeadObjective, Objective
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.piece_vectors import KeptVectors, UpperBackbone, VectorsOf, WholeBackbone
from mtlkit.training.regime import Regime
from mtlkit.training.router import take_router, teach_router
from mtlkit.training.schedules import Mix, Piece, make_plans
from mtlkit.training.tracking import Tracker


@dataclass(frozen=True)
class Surroundings:
    """Where a training computes and writes: its log; where what is worked out once may be kept on disk (None: nowhere); and the
    tokens of some fixed texts, by which it tells what became of what the start knew (None: it does not)."""

    compute: Compute
    log: TextIO
    cache: Path | None = None
    probe: Encoded | None = None


class Fit:
    """One training. A watched task is evaluated, not trained; where it is rehearsed, its batches train all but its head."""

    def __init__(
        self,
        model: MultiTaskModel,
        objectives: Mapping[str, Objective],
        regime: Regime,
        options: TaskTrainingOptions,
        surroundings: Surroundings,
    ) -> None:
        self.compute, self.surroundings = surroundings.compute, surroundings
        model.to(self.compute.device)
        self.model, self.objectives, self.regime, self.options = model, objectives, regime, options
        self.labelled = {name: one for name, one in objectives.items() if isinstance(one, HeadObjective)}
        self.routes, self.said = take_router(model, list(self.labelled), regime.router)
        self.known = {name: one for name, one in self.labelled.items() if name in regime.known}
        self.trained = regime.trained(objectives)
        self.watched = {name: one for name, one in objectives.items() if name not in self.trained}
        self.mixed = {name: one for name, one in objectives.items() if name in self.trained or name in regime.rehearsed}
        self.idle = idle_heads(model, self.trained)
        self.never = regime.freezing.always | self.idle
        self.lengths = {name: objective.train.lengths for name, objective in self.mixed.items()}
        mixing = regime.mixing
        plans = make_plans(self.lengths, options.batch_tokens, options.seed, regime.classes)
        self.mix = Mix(plans, mixing.schedule, regime.rehearsed, mixing.epoch_by)
        self.takes = group_sizes(self.mix.steps, options.accumulate)
        self.balance = make_balance(mixing.balance, model, list(self.mixed), mixing.balance_on)
        self.guards = self._make_guards()
        self._freeze(regime.freezing.at(0, 0) | self.idle)
        self.multiples = multiples_of(model, options.head_rate, options.layer_lr_decay)
        self.table = PartTable(model, regime.freezing, self.never, options.learning_rate, self.multiples)

    @property
    def epoch_steps(self) -> int:
        """Optimiser steps of an epoch."""
        return len(self.takes)

    def _make_guards(self) -> dict[str, Guard]:
        apply_freeze(self.model, self.never)  # what is thawed later on is guarded, too
        trainable = frozenset(name for name, _ in self.model.named_parameters()) - self.never
        old = {name: one for name, one in self.known.items() if name in self.watched}
        common = (self.regime.known, self.compute, self.options.seed)
        beginning = Beginning(self.model, trainable, self.trained, old, *common)
        return {choice.name: choice.make(beginning) for choice in self.regime.guards}

    def events(self) -> Iterator[Event]:
        """Trains in place, leaves the best weights in the model and yields what happens."""
        yield Parts(self.table.parts(self.frozen))
        if self.said:
            yield Note(self.said, warning=True)
        probe = self.surroundings.probe
        whole = self.regime.freezing.keeps("backbone")
        vectors_of = yield from self._vectors_of(whole)
        self.judge = Judge(self.model, self.objectives, self.compute, whole)
        memory = Memory(self.model, self.known, probe, self.judge) if probe is not None else None
        books = Books(self.trained, self.mix, self.balance, self.regime.mixing, self.options.epochs)
        ledger = Ledger(self.model, self.judge, books, self.never, self.surroundings.log, memory)
        if self.watched or self.known:
            yield ledger.epoch(0)
        yield from self._train(ledger, vectors_of)
        assert ledger.best is not None
        self.model.load_state_dict(ledger.best.weights, strict=False)
        self.model.eval()
        yield Parts(self.table.parts(self.frozen, final=True))
        if self.routes:
            yield Note(teach_router(self.model, self.labelled, self.compute, self.options.seed))
        if memory:
            yield Forgetting(memory.report(self.model, ledger.best.scores))
        yield Note(ledger.seen())

    def _vectors_of(self, whole: bool) -> Generator[Event, None, VectorsOf]:
        """How steps come by vectors. Backbone `whole` frozen: every training text is encoded once, and the heads train on the
        vectors. With `--cache-prefix`, what lies below the first block that trains is run once."""
        encoded = {name: objective.train.encoded for name, objective in self.mixed.items()}
        limit = int(self.options.cache_memory * 2**30)
        place = self.surroundings.cache
        if whole:
            kept = keep_vectors(self.model, encoded, self.compute, place, limit)
            judged = sum(len(one.validation.encoded) for one in self.objectives.values())
            yield Note(
                f"the backbone is frozen: {kept.texts + judged:,} texts were encoded once, the heads train on their vectors"
                f"{f', kept as {kept.said}' if kept.files else ''}"
            )
            return KeptVectors(kept.stores)
        depth = prefix_depth(self.regime.freezing.weights, self.never) if self.options.cache_prefix else 0
        if depth:
            kept = keep_states(self.model, encoded, self.compute, place, limit, depth)
            yield Note(f"what is frozen up to layers:{depth - 1} was run once on {kept.texts:,} texts: {kept.said}")
            return UpperBackbone(self.model, self.mixed, self.compute.device, kept.stores, depth)
        return WholeBackbone(self.model, self.mixed, self.compute.device)

    def _train(self, ledger: Ledger, vectors_of: VectorsOf) -> Iterator[Event]:
        bound = self._bound()
        for step, progress in self._steps(vectors_of):
            done = step.index + 1
            ledger.add(step)
            self.judge.moved()
            if step.skipped:
                yield Note(f"step {done} was skipped: its gradient was not finite", warning=True)
            yield progress
            yield from self._thaw(done)
            if bound and bound.due(done) and (reason := bound.broken(done)):
                yield from self._go_back(bound, reason, ledger, progress.epoch)
                return
            if done % self.epoch_steps == 0:
                yield ledger.epoch(progress.epoch)
                if summary := self.tracker.summary():
                    ledger.note({"after_epoch": progress.epoch, "tracking": summary.to_json()})
                    yield Tracking(summary)
                if self.options.patience and ledger.worse == self.options.patience:
                    yield Note(f"no better score in {ledger.worse} epochs: stopped")
                    return
            training_mode(self.model, self.frozen)

    def _bound(self) -> Bound | None:
        points = self.regime.max_forgetting
        if points is None:
            return None
        return Bound(self.model, self.watched, points, self.epoch_steps, self.never, self.judge)

    def _go_back(self, bound: Bound, reason: str, ledger: Ledger, epoch: int) -> Iterator[Event]:
        """The bound broke: the last weights within it stay, whatever their score."""
        place = f"those of step {bound.step}, the last within the bound" if bound.step else "those of the start: no step kept it"
        yield Note(f"{reason}: stopped; the weights kept are {place}", warning=True)
        self.model.load_state_dict(bound.kept, strict=False)
        self.judge.moved()
        ledger.best = None
        yield ledger.epoch(epoch, f"step {bound.step}, within the bound")

    def _freeze(self, frozen: frozenset[str]) -> None:
        self.frozen = frozen
        apply_freeze(self.model, frozen)

    def _thaw(self, steps: int) -> Iterator[Note]:
        """After a step: what is frozen from the next one on. The optimizer takes up by itself what has a gradient."""
        frozen = self.regime.freezing.at(steps // self.epoch_steps, steps) | self.idle
        if frozen == self.frozen:
            return
        for verb, weights in (("train", self.frozen - frozen), ("are frozen", frozen - self.frozen)):
            if weights:
                yield Note(f"from step {steps + 1} on {listed(sorted(parts_of(sorted(weights))))} {verb}")
        self._freeze(frozen)

    def _steps(self, vectors_of: VectorsOf) -> Iterator[tuple[Step[Piece], Progress]]:
        options, losses = self.options, TaskLosses(self.mixed, vectors_of, self.guards)
        rate = LearningRate(options.learning_rate, self.epoch_steps * options.epochs, options.warmup)
        self.tracker = Tracker(self.model, list(self.mixed), losses, self.compute, options.track_every)
        training_mode(self.model, self.frozen)
        begun, seen = time.monotonic(), 0
        for step in train(
            self.model,
            self.mix.work(options.epochs),
            losses,
            rate,
            weight_decay=0.0 if any(guard.replaces_decay for guard in self.guards.values()) else options.weight_decay,
            clip=options.clip,
            compute=self.compute,
            multiples=self.multiples,
            describe=losses.describe,
            balance=self.balance,
            takes=chain.from_iterable(repeat(self.takes, options.epochs)),
            names_of=list,
            tracker=self.tracker,
        ):
            seen += sum(int(self.lengths[name][rows].sum()) for piece in step.pieces for name, rows in piece.items())
            elapsed, epoch = time.monotonic() - begun, step.index // self.epoch_steps + 1
            yield step, Progress(step.index + 1, rate.steps, epoch, options.epochs, elapsed, seen / elapsed, step.losses, {})


def idle_heads(model: MultiTaskModel, trained: Mapping[str, Objective]) -> frozenset[str]:
    """The weights of heads that nothing trains: they stay as they are."""
    used = {objective.head for objective in trained.values()}
    idle = tuple(prefix_of(f"head:{task}") for task in model.tasks if f"head:{task}" not in used)
    return frozenset(name for name, _ in model.named_parameters() if name.startswith(idle))


def fit(
    model: MultiTaskModel,
    objectives: Mapping[str, Objective],
    regime: Regime,
    options: TaskTrainingOptions,
    surroundings: Surroundings,
) -> Iterator[Event]:
    """Trains `model` in place and yields what happens; the last Epoch with `best` is the one whose weights stay."""
    return Fit(model, objectives, regime, options, surroundings).events()
