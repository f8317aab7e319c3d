"""Keeps what recognizes texts that fit none of a head's classes: vectors of training texts, and scores of texts that do fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.evaluation.metrics import Array
from mtlkit.inference.scope.file import ARRAYS, arrays_of, scope_of
from mtlkit.inference.scope.rejection import can_reject, predicted
from mtlkit.inference.scope.scope import fit_scope
from mtlkit.seeding import generator
from mtlkit.training.freezing.features import CachedVectors, FeatureSource
from mtlkit.training.head_incidents import ScopeFitted
from mtlkit.training.objectives.base import HeadObjective, inputs_of_batch
from mtlkit.training.plan import TrainPlan
from mtlkit.training.sampling.columns import BatchTexts
from mtlkit.training.setup import TaskRoles
from mtlkit.training.state_dict import StateDict
from mtlkit.training.validation.evaluator import Evaluator, has_validation

SCOPES = "scopes"  # in the state of a solver
MOST_BYTES = 10_000_000  # of all prototypes of a run, two bytes a number
ENCODED = 1000  # where vectors are not cached, prototypes are at most so many or half of the rows: 2 % of the time of six epochs


@dataclass(frozen=True)
class Prototypes:
    """Vectors of training rows, (P, D), and their classes, (P,)."""

    vectors: NDArray[Any]
    labels: NDArray[Any]


def fit_scopes(plan: TrainPlan, roles: TaskRoles, evaluator: Evaluator, source: FeatureSource) -> Iterator[ScopeFitted]:
    """Fits the scope of every head with data after the training: prototypes from its training rows, scores from its validation
    rows. Heads that were not trained keep theirs if their vectors do."""
    fitted = {
        name: objective
        for name, objective in scoped(plan, roles).items()
        if has_validation(objective) and (name in roles.trained or not plan.fixed_backbone)
    }
    for name, prototypes in prototypes_of(plan, roles, fitted, evaluator, source):
        objective, vectors = fitted[name], evaluator.vectors(name)
        yield scope_fitted(objective, prototypes, objective.outputs(vectors), _numpy(vectors))


def prototypes_of(
    plan: TrainPlan, roles: TaskRoles, objectives: Mapping[str, HeadObjective], evaluator: Evaluator, source: FeatureSource
) -> Iterator[tuple[str, Prototypes]]:
    """The prototypes of heads by task: vectors of training rows after the training."""
    drawn = {}
    for name, objective in objectives.items():
        train = objective.task.train
        most = len(train) if isinstance(source, CachedVectors) else max(ENCODED, len(train) // 2)
        drawn[name] = draw_prototypes(plan, roles, objective, train.labels, most)
    for name, vectors in vectors_of(objectives, drawn, evaluator, source):
        yield name, Prototypes(_numpy(vectors), objectives[name].task.train.labels[drawn[name]])


def scoped(plan: TrainPlan, roles: TaskRoles) -> dict[str, HeadObjective]:
    """The objectives whose heads get a scope: of kinds that predict one of several classes, as a text may fit none of them."""
    if not plan.options.prototypes:
        return {}
    return {name: objective for name, objective in roles.labelled.items() if can_reject(objective.task.spec)}


def draw_prototypes(
    plan: TrainPlan, roles: TaskRoles, objective: HeadObjective, labels: NDArray[Any], most: int | None = None
) -> Rows:
    """The rows, of those with these labels, (N,), whose vectors become prototypes: at most `most`, and what fits the file."""
    spec = objective.task.spec
    fits = MOST_BYTES // (2 * spec.width(objective.model.architecture) * len(scoped(plan, roles)))
    return draw(labels, plan.options.prototypes, min(fits, most or fits), spec.name, plan.options.seed)


def draw(classes: NDArray[Any], per_class: int, most: int, task: str, seed: int) -> Rows:
    """Rows drawn at random, ascending: at most `per_class` of each class, and fewer, but one at least, if all are over `most`."""
    random = generator(seed, "prototypes", task)
    order = [random.permutation(np.flatnonzero(classes == number)) for number in np.unique(classes)]
    counts = np.array([len(rows) for rows in order])
    per_class = min(per_class, int(counts.max()))
    while per_class > 1 and (over := int(np.minimum(counts, per_class).sum()) - most) > 0:
        per_class = max(1, per_class - max(1, over // len(counts)))
    return np.sort(np.concatenate([rows[:per_class] for rows in order]))


def scope_fitted(
    objective: HeadObjective, prototypes: Prototypes, outputs: Array, vectors: NDArray[Any], own: Rows | None = None
) -> ScopeFitted:
    """The scope of a head, calibrated before. outputs and vectors of rows, (M, outputs) and (M, D), for which the head was not
    trained; `own`, (M,), is the prototype that is the row itself, or -1.
    """
    spec = objective.model.head(objective.task.name).spec
    scope = fit_scope(prototypes.vectors, prototypes.labels, len(spec.labels), predicted(spec, outputs, vectors), own)
    return ScopeFitted(spec.name, len(prototypes.labels), scope.rows, scope)


def scope_moved(objective: HeadObjective, prototypes: Prototypes, before: ScopeFitted) -> ScopeFitted:
    """The scope of a head that was trained again on more rows, with the scores that rows had when they were held out."""
    scope = before.scope.moved(prototypes.vectors, prototypes.labels, len(objective.task.spec.labels))
    return ScopeFitted(before.task, len(prototypes.labels), scope.rows, scope)


def scopes_state(scopes: Mapping[str, ScopeFitted]) -> StateDict:
    """The state of scopes, for `scopes_from`."""
    tensors = {
        f"{task}.{name}": torch.from_numpy(array)
        for task, fitted in scopes.items()
        for name, array in arrays_of(fitted.scope).items()
    }
    return StateDict(tensors, {task: fitted.rows for task, fitted in scopes.items()})


def scopes_from(state: StateDict) -> dict[str, ScopeFitted]:
    scopes = {}
    for task, rows in state.plain.items():
        scope = scope_of({name: state.tensors[f"{task}.{name}"].numpy() for name in ARRAYS}, rows)
        scopes[task] = ScopeFitted(task, len(scope.prototypes), rows, scope)
    return scopes


def vectors_of(
    objectives: Mapping[str, HeadObjective], rows: Mapping[str, Rows], evaluator: Evaluator, source: FeatureSource
) -> Iterator[tuple[str, Tensor]]:
    """What the heads of tasks read for some training rows, (N, width), from the cache or the backbone; a text that several tasks
    share is encoded once."""
    shared_vectors = (name for name in objectives if name not in evaluator.model.adapters)
    texts = BatchTexts({name: objectives[name].train for name in shared_vectors})
    stores = source.stores if isinstance(source, CachedVectors) else {}
    for name in (name for name in rows if name in stores):
        train = objectives[name].train
        numbers = train.texts_of(rows[name])
        yield name, inputs_of_batch(train, stores[name].take(numbers), numbers, rows[name])[0]
    for tasks in texts.together({name: own for name, own in rows.items() if name not in stores}):
        name = next(iter(tasks))
        shared = texts.shared.get(name)
        if shared is None:
            train = objectives[name].train
            numbers = train.texts_of(tasks[name])
            yield name, inputs_of_batch(train, evaluator.encode(train.encoded.take(numbers), name), numbers, tasks[name])[0]
        else:
            numbers = shared.texts_of(tasks)
            vectors = evaluator.encode(shared.encoded.take(numbers))
            for task, own in tasks.items():
                places = np.searchsorted(numbers, shared.index[task][own])
                yield task, vectors[torch.from_numpy(places).to(vectors.device)]


def _numpy(vectors: Tensor) -> NDArray[np.float32]:
    return vectors.float().cpu().numpy()
