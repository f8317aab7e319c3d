"""Solves one linear head: the strength of its regularization, its weights, and what left-out rows say of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtlkit.evaluation.intervals import bootstrap_interval
from mtlkit.evaluation.task_metrics import examples_in, main_metric, measure_of, score
from mtlkit.inference.engines.base import Array
from mtlkit.model.heads.base import Affine
from mtlkit.progress import count, counting
from mtlkit.seeding import generator
from mtlkit.tasks.base import kind_of
from mtlkit.tasks.convex import ConvexLoss
from mtlkit.training.head_incidents import HeadSolved, StrengthTrial
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.solver.linear import Features, LinearFit, fit
from mtlkit.training.solver.products import folded, with_products
from mtlkit.training.solver.strength import GRID, Choice, choose_strength, l2_of, not_cross_validated

LARGE = 200_000_000  # numbers (rows x D x K) beyond which an iteration takes long
IN_FLOAT64 = 2**30  # bytes of vectors that are kept in float64; larger ones stay in float32


@dataclass(frozen=True)
class HeadRows:
    """The rows that a head is solved on: vectors (N, D), encoded labels, and how many of them, the last ones, were held out for
    validation."""

    vectors: NDArray[np.floating]
    labels: NDArray[Any]
    held_out: int = 0

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class SolvedHead:
    """What was solved: the event; the outputs (M, K) of the head for `left_out` rows by fits without them, both empty where there
    are none."""

    event: HeadSolved
    left_out: NDArray[np.int64]
    outputs: Array

    @property
    def cross_validated(self) -> bool:
        return self.event.folds > 0


def join_rows(objective: HeadObjective, vectors: NDArray[np.floating], held_out: NDArray[np.floating] | None) -> HeadRows:
    """The training rows of a task, and its validation rows where their vectors are given (`held_out`)."""
    labels = objective.task.train.labels
    if held_out is not None:
        vectors = np.concatenate([vectors, held_out])
        labels = np.concatenate([labels, objective.task.validation.labels])
    if 8 * vectors.size <= IN_FLOAT64:
        vectors = vectors.astype(np.float64)
    return HeadRows(vectors, labels, 0 if held_out is None else len(held_out))


def solve_head(
    objective: HeadObjective, rows: HeadRows, seed: int, *, balanced: bool = False, strength: float | None = None
) -> SolvedHead:
    """Chooses the strength of a head, fits it to all rows, and puts the fit into the model.

    `balanced`: all classes count alike. With `strength`, that one is used, without cross-validation; the rows that were held out
    for validation are left out once, by a fit to the others.
    """
    spec, began = objective.task.spec, time.monotonic()
    of_pairs = spec.pair == "vectors"
    vectors = with_products(rows.vectors) if of_pairs else rows.vectors
    (features, axes), loss = Features(vectors).rotated(), loss_of(objective, rows.labels, balanced)
    with counting(f"fitting head:{spec.name}", "fitted", len(GRID) + 1, unit="strengths"):
        if strength is None:
            groups = kind_of(spec.kind).groups(rows.labels)
            strata = kind_of(spec.kind).strata(spec, rows.labels) if groups is None else np.zeros(groups[-1] + 1, np.int64)
            choice = choose_strength(features, loss, strata, spec.name, seed, lambda: count("fitted", 1), groups)
        else:
            choice = not_cross_validated(loss, strength)
        fitted = fit_chosen(features, loss, choice)
    restored = axes.restore(fitted)
    _install(objective, folded(restored) if of_pairs else restored)
    left_out, outputs = choice.rows, choice.outputs
    if not choice.folds and rows.held_out:
        train, left_out = np.split(np.arange(len(rows)), [len(rows) - rows.held_out])
        outputs = fit_chosen(features.take(train), loss.take(train), choice).outputs(features.vectors[left_out])
    in_units = (outputs * spec.spread + spec.center).astype(np.float32)
    metrics, interval = _figures(objective, in_units, rows.labels[left_out], seed) if choice.folds else ({}, None)
    event = HeadSolved(
        task=spec.name,
        rows=examples_in(spec, rows.labels),
        held_out=examples_in(spec, rows.labels[len(rows) - rows.held_out :]),
        c=choice.c,
        trials=tuple(StrengthTrial(trial.c, trial.loss, trial.error) for trial in choice.trials),
        folds=choice.folds,
        rounds=choice.rounds,
        tested=examples_in(spec, rows.labels[choice.rows]),
        metric=main_metric(spec),
        metrics=metrics,
        interval=interval,
        iterations=fitted.iterations,
        converged=fitted.converged,
        seconds=round(time.monotonic() - began, 3),
    )
    return SolvedHead(event, left_out, in_units)


def loss_of(objective: HeadObjective, labels: NDArray[Any], balanced: bool = False) -> ConvexLoss:
    """The loss of a head that has a convex one, for rows with these labels, (N,); `balanced`: all classes count alike."""
    spec = objective.task.spec
    kind, weights = kind_of(spec.kind), np.ones(len(labels))
    if balanced and (classes := kind.class_weights(spec, labels)):
        weights = np.array(classes[0])[labels]
    loss = kind.convex_loss(spec, labels, objective.options, weights)
    assert loss is not None
    return loss


def fit_chosen(features: Features, loss: ConvexLoss, choice: Choice) -> LinearFit:
    """The fit of the chosen strength to all rows."""
    large = features.vectors.size * loss.outputs >= LARGE
    start = None if large else choice.start  # of fewer rows where there are many: a worse start than zero
    tolerance = 1e-6 if large else 1e-8  # the rest changes no decision
    return fit(features, loss, l2_of(choice.c, features.variance, len(features)), start, tolerance=tolerance)


def _install(objective: HeadObjective, fitted: LinearFit) -> None:
    layer = objective.model.head(objective.task.name).linear_layers()[-1]
    weights, intercepts = torch.from_numpy(fitted.weights.T), torch.from_numpy(fitted.intercepts)
    layer.set_affine(Affine(weights.expand(len(intercepts), -1), intercepts))  # outputs may share their weights


def _figures(
    objective: HeadObjective, outputs: Array, labels: NDArray[Any], seed: int
) -> tuple[dict[str, Any], tuple[float, float] | None]:
    """The loss and the metrics of left-out rows, and the 95 % interval of the main metric."""
    spec = objective.task.spec.uncalibrated()
    scores = score(spec, outputs, labels)
    single = {name: value for name, value in scores.items() if name == "undefined" or isinstance(value, float | None)}
    random = generator(seed, "cross-validated", spec.name)
    interval = bootstrap_interval(measure_of(spec, outputs, labels), examples_in(spec, labels), random)
    ends = None if interval.to_json() is None else interval.ends
    return {"loss": objective.plain_loss(outputs, labels), **single}, ends
