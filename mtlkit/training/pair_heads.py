"""Starts fresh heads for pairs of vectors with the inner product of the two, by a fit to some training rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mtlkit.model.heads.base import Affine
from mtlkit.seeding import generator
from mtlkit.training.freezing.features import FeatureSource
from mtlkit.training.objectives.base import HeadObjective
from mtlkit.training.plan import TrainPlan
from mtlkit.training.setup import TaskRoles
from mtlkit.training.solver.choice import not_convex
from mtlkit.training.solver.head import loss_of
from mtlkit.training.solver.linear import Features, fit
from mtlkit.training.solver.products import part_of_product, products
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
        loss = loss_of(objective, objective.task.train.labels[rows[name]])
        fitted, (weight, bias) = fit(features, loss, WEAK * features.variance), layer.affine
        weight = weight.clone()
        weight[:, part_of_product(weight.shape[1])] += weight.new_tensor(fitted.weights.T)
        layer.set_affine(Affine(weight, bias.new_tensor(fitted.intercepts)))


def _fresh(plan: TrainPlan, roles: TaskRoles) -> Iterator[tuple[str, HeadObjective]]:
    """The tasks of pairs of vectors whose heads are new, train, and have a convex loss."""
    for name, objective in roles.labelled.items():
        trains = name not in roles.known and name not in roles.watched and not plan.freezing.keeps(f"head:{name}")
        if objective.task.spec.pair == "vectors" and trains and not any(not_convex(objective)):
            yield name, objective
