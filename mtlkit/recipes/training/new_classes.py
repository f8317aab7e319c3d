"""Existing heads whose data has classes that they do not know: what is new, and the old data that measures what is forgotten."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.datasets.labelled import read_train_and_validation
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.labels.classes import parts_of
from mtlkit.data.labels.codec import encode_labels
from mtlkit.data.labels.values import quoted
from mtlkit.errors import MtlkitError
from mtlkit.recipes.training.initial_model import InitialModel
from mtlkit.recipes.training.planning.continual import recorded_sources


@dataclass(frozen=True)
class OldRows:
    """Validation rows of an extended task: those of its data, and `added` ones of the data that the head was trained on, for
    classes that have none. `note` says so, or why some classes have none."""

    table: LabelledTable
    added: int = 0
    note: str = ""


def with_old_rows(start: InitialModel, known: TaskSpec, table: LabelledTable, reading: ReadOptions) -> OldRows:
    """Adds validation rows of the classes of a head that `table` has none of, from the data that the head was trained on,
    which is read as `reading` says."""
    present = {part for label in table.labels for part in parts_of(label)}
    absent = [label for label in known.labels if label not in present]
    if not absent or not len(table):
        return OldRows(table)
    source = recorded_sources(start.origin).get(known.name)
    reading = replace(reading, recorded=start.sources.get(known.name))
    forgotten = f"{known.name}: no row measures what happens to {quoted(absent)}"
    if source is None:
        return OldRows(table, note=f"{forgotten}, as {start.origin} does not say what it was trained on; add rows of them")
    try:
        old = read_train_and_validation(source, reading)[1]
    except (MtlkitError, OSError) as error:
        return OldRows(table, note=f"{forgotten}, as the data of {start.origin} cannot be read ({error}); add rows of them")
    rows = [row for row in encode_labels(known, old.labels)[1] if set(parts_of(old.labels[row])) & set(absent)]
    if not rows:
        return OldRows(table, note=f"{forgotten}, as {source} has no such validation rows; add rows of them")
    return OldRows(
        table.joined(old.select(np.array(rows))),
        len(rows),
        f"{known.name}: {len(rows):,} rows of {source} measure what happens to {quoted(absent)}",
    )
