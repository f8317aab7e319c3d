"""Starts fresh heads for pairs of vectors with the inner product of the two, by a fit to some training rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mtlkit.config.architecture import PAIR_PARTS
from mtlkit.model.heads.base import Affine
from mtlkit.seeding import generator
from mtlkit.tasks.base import kind_of
from mtlkit.training.freezing.features import FeatureSource
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.plan import TrainPlan
from mtlkit.training.setup import TaskRoles
from mtlkit.training.solver.linear import Features, fit
from mtlkit.training.solver.products import products
from mtlkit.training.validation.evaluator import Evaluator
from mtlkit.training.validation.scope import vectors_of

ROWS = 512  # from which a head starts, or half of the rows of a task
WEAK = 1e-3  # L2 regularization relative to the variance: only against classes that the product separates


def start_pair_heads(plan: TrainPlan, roles: TaskRoles, evaluator: Evaluator, source: FeatureSource) -> None:
    """Fits the fresh heads for pairs of vectors to the inner products of some training rows, in place, if vectors have length 1:
    then it is the cosine, which the models that give such vectors were trained for."""
    if not evaluator.model.architecture.normalize:
        return
    fresh = dict(_fresh(plan, roles))
    rows = {}
    for name, objective in fresh.items():
        total = len(objective.task.train)
        order = generator(plan.options.seed, "pair heads", name).permutation(total)
        rows[name] = np.sort(order[: min(ROWS, -(-total // 2))])
    for name, inputs in vectors_of(fresh, rows, evaluator, source):
        features = Features(products(inputs.double().cpu().numpy()))
        if not features.variance:
            continue
        objective, layer = fresh[name], fresh[name].model.head(name).linear_layers()[-1]
        spec, labels = objective.task.spec, objective.task.train.labels[rows[name]]
        loss = kind_of(spec.kind).convex_loss(spec, labels, objective.options, np.ones(len(labels)))
        assert loss is not None
        fitted, (weight, bias) = fit(features, loss, WEAK * features.variance), layer.affine
        weight, own = weight.clone(), weight.new_tensor(fitted.weights.T)
        weight[:, weight.shape[1] // PAIR_PARTS * (PAIR_PARTS - 1) :] += own
        layer.set_affine(Affine(weight, bias.new_tensor(fitted.intercepts)))


def _fresh(plan: TrainPlan, roles: TaskRoles) -> Iterator[tuple[str, HeadObjective]]:
    """The tasks whose heads are new, train, and have one layer and a convex loss."""
    for name, objective in roles.labelled.items():
        spec, labels = objective.task.spec, objective.task.train.labels
        trains = name not in roles.known and name not in roles.watched and not plan.freezing.keeps(f"head:{name}")
        if spec.pair != "vectors" or spec.head != "linear" or spec.sigmoid or not trains:
            continue
        if kind_of(spec.kind).convex_loss(spec, labels[:1], objective.options, np.ones(1)) is not None:
            yield name, objective
