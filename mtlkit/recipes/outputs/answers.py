"""Predictions as columns of an output: nested as `predict` prints them, or flat, a column for each field of a task's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.outputs.columns import Column, Kind
from mtlkit.inference.predictions import answers, answers_of_words

KINDS_OF_FIELDS: dict[type, Kind] = {str: "string", bool: "bool", float: "float", int: "int"}


def fields_of(spec: TaskSpec, *, reject: bool) -> dict[str, Kind]:
    """The fields of a task's answers and their kinds, from the answer to outputs that are all 0."""
    if spec.tags is not None:
        (answer,) = answers_of_words(spec, np.zeros((0, spec.outputs), np.float32), [""], [np.zeros((0, 2), np.int64)])
    else:
        (answer,) = answers(spec, np.zeros((1, spec.outputs), np.float32))
    fields: dict[str, Kind] = {name: KINDS_OF_FIELDS.get(type(value), "json") for name, value in answer.items()}
    if reject:
        fields |= {"rejected": "bool", "score": "float", "threshold": "float"}
    return fields


def flat_columns(specs: Mapping[str, TaskSpec], tasks: Sequence[str], *, reject: bool) -> tuple[Column, ...]:
    """A column TASK.FIELD for each field of each task's answers."""
    return tuple(Column(f"{task}.{name}", kind) for task in tasks for name, kind in fields_of(specs[task], reject=reject).items())


def flat_values(tasks: Mapping[str, Mapping[str, Any]], columns: Sequence[Column]) -> list[Any]:
    """The values of these columns; None for a task without an answer, as the router did not choose it."""
    return [tasks.get(task, {}).get(field) for task, _, field in (column.name.rpartition(".") for column in columns)]
