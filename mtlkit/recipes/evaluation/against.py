"""`eval --against`: two models on the same rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare
from mtlkit.errors import UsageError, listed
from mtlkit.evaluation.comparison import Outputs, TaskComparison, compare_outputs
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.evaluation.heads import HeadOutputs
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.tasks.base import kind_of


@dataclass(frozen=True)
class Comparison:
    """The model that another one is compared with, the tasks that both have, and those that only one has."""

    against: str
    tasks: Mapping[str, TaskComparison]
    only_model: tuple[str, ...]
    only_against: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        tasks = {name: task.to_json() for name, task in self.tasks.items()}
        only = {"only_model": list(self.only_model), "only_against": list(self.only_against)}
        return {"model": self.against, "tasks": tasks, **only}


def check_against(options: EvalOptions, loaded: LoadedModel, against: LoadedModel | None, names: Iterable[str]) -> None:
    """Raises UsageError if the models have no common task, or a task has other labels in one of them. Call it before work."""
    if against is None:
        return
    if options.of_vectors == ["--retrieval"] and not options.text:
        against.output_dim(options.dim)
        return
    if options.of_vectors or options.text or not loaded.tasks:
        raise UsageError(
            "--against compares heads of two models, or their vectors with --retrieval; remove --sts, --probe and --text, or "
            "specify models with heads"
        )
    shared = [name for name in names if name in against.specs]
    if not shared:
        heads = f"{loaded.name} has {listed(loaded.tasks)}, {against.name} {listed(against.tasks) or 'none'}"
        raise UsageError(f"--against {against.name}: no task in common; {heads}")
    for name in shared:
        if reason := not_comparable(loaded.specs[name], against.specs[name], loaded.name, against.name):
            raise UsageError(f"--against {against.name}: {reason}")


def not_comparable(spec: TaskSpec, other: TaskSpec, model: str, against: str) -> str | None:
    """Why two models' heads of the same task cannot be compared; None if they can."""
    if not any(spec.reads(pairs=pairs) and other.reads(pairs=pairs) for pairs in (False, True)):
        single, pairs = (model, against) if spec.pair is None else (against, model)
        return f"task '{spec.name}' reads single texts in {single}, and pairs in {pairs}"
    if spec.kind != other.kind:
        return f"task '{spec.name}' is {other.kind} in {against}, and {spec.kind} in {model}"
    if kind_of(spec.kind).ordered and len(spec.labels) == len(other.labels) and set(spec.labels) == set(other.labels):
        if spec.labels != other.labels:
            orders = f"{listed(other.labels, 4)} in {against}, and {listed(spec.labels, 4)} in {model}"
            return f"the labels of task '{spec.name}' are in another order: {orders}"
        return None
    only = [sorted(set(one.labels) - set(two.labels)) for one, two in ((spec, other), (other, spec))]
    if any(only):
        parts = [f"only {name} has {listed(labels, 4)}" for name, labels in zip((model, against), only, strict=True) if labels]
        return f"other labels for task '{spec.name}': {'; '.join(parts)}"
    return None


def compare(
    loaded: LoadedModel,
    against: LoadedModel,
    tables: Mapping[str, LabelledTable],
    rows: Mapping[str, EvaluatedRows],
    seed: int,
) -> Comparison:
    """Runs the other model on the rows that were evaluated, and compares the outputs of each common task."""
    tasks = {}
    outputs_of = HeadOutputs(against, tables, f" with {against.name}", router=False)
    for name, own in rows.items():
        if name in against.specs:
            other = against.specs[name]
            texts = prepare(replace(own.spec, pair=other.pair), tables[name], against.encoder)
            others = matched(Outputs(other, outputs_of(name, texts)[name]), own.spec)
            tasks[name] = compare_outputs(Outputs(own.spec, own.outputs), others, own.labels, seed)
    only_model = tuple(name for name in loaded.tasks if name not in against.specs)
    only_against = tuple(name for name in against.tasks if name not in loaded.specs)
    return Comparison(against.name, tasks, only_model, only_against)


def matched(found: Outputs, spec: TaskSpec) -> Outputs:
    """Outputs with their labels in the order of another head of the same task, which has the same labels."""
    return reordered(found, [found.spec.labels.index(label) for label in spec.labels])


def reordered(found: Outputs, order: list[int]) -> Outputs:
    """Outputs with their labels in another order. Those of ordered labels, whose order is the same in all models, stay."""
    columns = [] if kind_of(found.spec.kind).ordered else order
    return Outputs(aligned(found.spec, order), found.values[:, columns] if columns else found.values)


def aligned(spec: TaskSpec, order: list[int]) -> TaskSpec:
    """The same task with its labels in another order, and their thresholds with them."""
    calibration = spec.calibration
    if calibration is not None and calibration.thresholds:
        calibration = replace(calibration, thresholds=tuple(calibration.thresholds[place] for place in order))
    return replace(spec, labels=tuple(spec.labels[place] for place in order), calibration=calibration)
