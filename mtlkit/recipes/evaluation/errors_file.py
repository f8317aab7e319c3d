"""`eval --errors`: writes the rows that heads get wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.data.row_files import Record, check_suffix, write_rows
from mtlkit.errors import UsageError
from mtlkit.evaluation.metrics import Array
from mtlkit.inference.predictions import answers
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.recipes.evaluation.wrong_words import wrong_words
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file
from mtlkit.tasks.base import kind_of

MOST = 5  # classes in `probabilities`, the likeliest ones
COLUMNS = (
    "task",
    "place",
    "text",
    "second_text",
    "label",
    "predicted",
    "probability",
    "label_probability",
    "probabilities",
    "error",
)


def check_errors(options: EvalOptions) -> None:
    """Raises UsageError if the file must not or cannot be written. Call it before any work."""
    if options.errors is None:
        return
    if options.of_vectors or options.text:
        raise UsageError(f"--errors {options.errors} is for the rows of heads; remove --sts, --probe, --retrieval and --text")
    check_suffix(options.errors, "--errors")
    if options.output is not None and options.errors.resolve() == options.output.resolve():
        raise UsageError(f"--errors and --output are the same file, {options.errors}; specify two files")
    check_output_file(options.errors, inputs_of(options), overwrite=options.overwrite, option="--errors")


def write_errors(options: EvalOptions, tasks: Mapping[str, EvaluatedRows]) -> int:
    """Writes the rows of all tasks and returns their number; columns that no row has are left out. Raises UsageError,
    SavingError."""
    assert options.errors is not None
    rows = [row for task in tasks.values() for row in errors_of(task)]
    names = {name for row in rows for name in row} if rows else {"task", "place", "text", "label", "predicted"}
    with locked(options.errors, command_line("eval", options), option="--errors"):
        check_errors(options)  # again, as another command may have written the file in the meantime
        write_rows(options.errors, [name for name in COLUMNS if name in names], rows)
    return len(rows)


def errors_of(task: EvaluatedRows) -> Iterator[Record]:
    """The wrong rows of a task, the worst first: the most confident ones, for a task of several labels or of labelled words those
    with the most wrong labels, and for numbers all rows that are not exact, by the size of the error."""
    classes = kind_of(task.spec.kind).classes
    find = {"one": _wrong_classes, "several": _wrong_labels, "words": wrong_words, "none": _wrong_numbers}[classes]
    for row, found in find(task):
        second = {"second_text": task.seconds[row]} if task.seconds else {}
        place = {"place": task.places[row]} if task.places else {}
        yield {"task": task.spec.name, **place, "text": task.texts[row], **second, **found}


def _wrong_classes(task: EvaluatedRows) -> Iterator[tuple[int, Record]]:
    wrong = np.flatnonzero(kind_of(task.spec.kind).decisions(task.spec, task.outputs) != task.labels)
    found = answers(task.spec, task.outputs[wrong])
    for place in np.argsort([-answer["probability"] for answer in found], kind="stable"):
        row, answer = int(wrong[place]), found[place]
        label, shares = task.spec.labels[task.labels[row]], answer["probabilities"]
        own = {"probability": answer["probability"], "label_probability": shares[label], "probabilities": _likeliest(shares)}
        yield row, {"label": label, "predicted": answer["label"], **own}


def _wrong_labels(task: EvaluatedRows) -> Iterator[tuple[int, Record]]:
    found = answers(task.spec, task.outputs)
    true = [[name for name, mark in zip(task.spec.labels, marks, strict=True) if mark > 0.5] for marks in task.labels]
    differ = np.array([len(set(labels) ^ set(answer["labels"])) for labels, answer in zip(true, found, strict=True)], np.int64)
    for row in _worst_first(differ):
        answer = found[row]
        yield row, {"label": true[row], "predicted": answer["labels"], "probabilities": _likeliest(answer["probabilities"])}


def _wrong_numbers(task: EvaluatedRows) -> Iterator[tuple[int, Record]]:
    predicted, true = task.outputs[:, 0].astype(np.float64), task.labels.astype(np.float64)
    for row in _worst_first(np.abs(predicted - true)):
        values = {"label": float(true[row]), "predicted": float(predicted[row])}
        yield row, {**values, "error": values["predicted"] - values["label"]}


def _worst_first(sizes: Array) -> Iterator[int]:
    """Rows with an error, by its size."""
    yield from (int(row) for row in np.argsort(-sizes, kind="stable") if sizes[row] > 0)


def _likeliest(shares: Mapping[str, float]) -> dict[str, Any]:
    return dict(sorted(shares.items(), key=lambda item: -item[1])[:MOST])
