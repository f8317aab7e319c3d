"""Trains a model on tasks, epoch by epoch, and keeps the best weights. Shared by every command that has tasks."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TextIO

import torch
from torch import Tensor

from mtlkit.config.training import Schedule, TaskTrainingOptions
from mtlkit.data.tasks import TaskData
from mtlkit.metrics import main_metric
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.events import Epoch, Event, Note, Part, Parts, Progress, TaskState
from mtlkit.training.freezing import apply_freeze, digest, training_mode
from mtlkit.training.inference import encode_all, evaluate
from mtlkit.training.loop import Compute, Step, train
from mtlkit.training.multitask import TaskLosses
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.schedules import Piece, make_plans, spend, work

SHOWN = ("loss", "accuracy", "macro_f1", "micro_f1", "pearson", "spearman", "mse")  # of all metrics, those of an epoch


@dataclass
class Best:
    """The epoch with the highest mean score (the lower mean loss where two are equal), and its weights."""

    epoch: int
    rank: tuple[float, float]
    metrics: dict[str, dict[str, float]]
    weights: dict[str, Tensor]


class Judge:
    """Evaluates every task on its validation rows. Vectors of a frozen backbone are worked out once."""

    def __init__(self, model: MultiTaskModel, tasks: Mapping[str, TaskData], compute: Compute, frozen_backbone: bool) -> None:
        self.model, self.tasks, self.compute = model, tasks, compute
        self.cached: dict[str, Tensor] = {}
        if frozen_backbone:
            model.eval()
            self.cached = {name: self._encode(task) for name, task in tasks.items()}

    def _encode(self, task: TaskData) -> Tensor:
        return encode_all(self.model, task.validation.encoded, self.compute)

    def __call__(self) -> dict[str, dict[str, float]]:
        self.model.eval()
        found = {}
        for name, task in self.tasks.items():
            vectors = self.cached[name] if name in self.cached else self._encode(task)
            metrics = evaluate(self.model, name, task.validation, vectors)
            found[name] = {key: metrics[key] for key in SHOWN if key in metrics}
        return found


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


def fit(
    model: MultiTaskModel,
    tasks: Mapping[str, TaskData],
    frozen: frozenset[str],
    schedule: Schedule,
    options: TaskTrainingOptions,
    compute: Compute,
    log: TextIO,
) -> Iterator[Event]:
    """Trains in place, leaves the best weights in the model and yields what happens; the last Epoch with `best` is the one kept.

    A task whose head is frozen is evaluated but not trained on. Backbone wholly frozen: every text is encoded once.
    """
    apply_freeze(model, frozen)
    model.to(compute.device)
    before = {name: digest(part) for name, part in model.parts() if name in frozen}
    yield Parts(describe_parts(model, before))
    mixed = {name: task for name, task in tasks.items() if f"head:{name}" not in frozen}
    cached = "backbone" in frozen
    judge = Judge(model, tasks, compute, cached)
    vectors = {name: encode_all(model.eval(), task.train.encoded, compute) for name, task in mixed.items()} if cached else None
    if cached:
        count = sum(len(task.train) + len(task.validation) for task in tasks.values())
        yield Note(f"the backbone is frozen: {count:,} texts were encoded once, the heads train on their vectors")
    plans = make_plans({name: task.train.encoded.lengths for name, task in mixed.items()}, options.batch_tokens, options.seed)
    budget = spend(plans, schedule)
    lengths = {name: task.train.encoded.lengths for name, task in mixed.items()}
    losses = TaskLosses(model, mixed, compute.device, vectors)

    def states(account: Account | None) -> tuple[TaskState, ...]:
        metrics = judge()
        return tuple(
            TaskState(
                name,
                task.spec.kind,
                account.mean(name) if account else None,
                metrics[name],
                account.batches[name] if account else 0,
                budget.rounds if account and name in mixed else 0,
                name not in mixed,
            )
            for name, task in tasks.items()
        )

    if len(mixed) < len(tasks):
        start = states(None)
        write(log, {"epoch": 0, "validation": {state.task: state.validation for state in start}})
        yield Epoch(0, options.epochs, start, mean_score(start, tasks), False)
    best: Best | None = None
    begun, seen, account, worse = time.monotonic(), 0, Account(), 0
    rate = LearningRate(options.learning_rate, budget.steps * options.epochs, options.warmup)
    training_mode(model, frozen)
    steps = train(
        model,
        work(plans, schedule, budget.rounds * options.epochs),
        losses,
        rate,
        weight_decay=options.weight_decay,
        clip=options.clip,
        compute=compute,
        describe=losses.describe,
    )
    for step in steps:
        account.add(step)
        seen += sum(int(lengths[name][rows].sum()) for name, rows in step.work.items())
        write(log, {"step": step.index + 1, "losses": step.losses, "gradient_norm": step.gradient_norm, "rate": step.rate})
        if step.skipped:
            yield Note(f"step {step.index + 1} was skipped: its gradient was not finite", warning=True)
        elapsed = time.monotonic() - begun
        epoch = step.index // budget.steps + 1
        yield Progress(step.index + 1, rate.steps, epoch, options.epochs, elapsed, seen / elapsed, step.losses, {})
        if (step.index + 1) % budget.steps:
            continue
        now = states(account)
        rank = (mean_score(now, mixed), -sum(state.validation["loss"] for state in now if not state.watched))
        improved = best is None or rank > best.rank
        worse = 0 if improved else worse + 1
        if improved:
            best = Best(epoch, rank, {state.task: state.validation for state in now}, trained_weights(model))
        write(log, {"epoch": epoch, "tasks": [asdict(state) for state in now]})
        yield Epoch(epoch, options.epochs, now, rank[0], improved)
        if options.patience and worse == options.patience:
            yield Note(f"no better score in {worse} epochs: stopped")
            break
        account = Account()
        training_mode(model, frozen)
    assert best is not None
    model.load_state_dict(best.weights, strict=False)
    model.eval()
    yield Parts(describe_parts(model, before, final=True))


def mean_score(states: tuple[TaskState, ...], tasks: Mapping[str, TaskData]) -> float:
    """Mean over trained tasks of the metric that counts for each."""
    scores = [state.validation[main_metric(tasks[state.task].spec)] for state in states if state.task in tasks]
    return sum(scores) / len(scores)


def trained_weights(model: MultiTaskModel) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}


@torch.no_grad()
def describe_parts(model: MultiTaskModel, before: Mapping[str, str], final: bool = False) -> tuple[Part, ...]:
    """Every part with its parameters; frozen ones with the digest from before and, at the end, that of now."""
    parts = []
    for name, part in model.parts():
        sizes = [(weight.numel(), weight.requires_grad) for weight in part.parameters()]
        after = digest(part) if final and name in before else None
        trainable = sum(size for size, free in sizes if free)
        parts.append(Part(name, sum(size for size, _ in sizes), trainable, before.get(name), after))
    return tuple(parts)


def write(log: TextIO, line: dict[str, Any]) -> None:
    log.write(json.dumps(line) + "\n")
