"""Folds temperatures into heads, for formats that only store layers."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from mtlkit.config.architecture import TaskSpec
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.heads.base import Affine, Head
from mtlkit.model.multitask import MultiTaskModel


def fold_temperatures(weights: LoadedWeights) -> LoadedWeights:
    """The model with heads whose outputs are already divided by their temperature. Thresholds stay with their task, and so does
    the temperature of a head with learned transitions, whose outputs are not those of its layers. The backbone and the router are
    shared."""
    source = weights.model
    if all(spec.temperature == 1.0 for spec in source.tasks.values()):
        return weights
    model = MultiTaskModel(source.backbone)
    for task in source.tasks:
        head = source.head(task)
        model.heads[task] = head if head.spec.transitions else fold_temperature(head)
    for task, adapter in source.adapters.items():
        model.adapters[task] = adapter
    model.router = source.router
    checkpoint = replace(weights.checkpoint, tasks=tuple(model.tasks.values()))
    return replace(weights, model=model.eval(), checkpoint=checkpoint)


def fold_temperature(head: Head) -> Head:
    """A head whose last layer is divided by the temperature of the given one."""
    folded = deepcopy(head)
    last = folded.linear_layers()[-1]
    last.set_affine(Affine(*(weights / head.spec.temperature for weights in last.affine)))
    folded.spec = folded_spec(head.spec)
    return folded


def folded_spec(spec: TaskSpec) -> TaskSpec:
    """The task of a folded head: still calibrated, but with a temperature of 1."""
    return replace(spec, calibration=spec.calibration and replace(spec.calibration, temperature=1.0))
