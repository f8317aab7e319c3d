"""Which rows are held out for validation, where a source has no split for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mtlkit.config.architecture import Kind
from mtlkit.data.batching import generator
from mtlkit.data.label_reader import Label
from mtlkit.data.labels import infer_kind, parts_of
from mtlkit.errors import DataError

ONE_IN = 10  # rows
SPLIT_SEED = 0  # the same rows are held out whatever the seed of the training, so that runs can be compared


def hold_out(labels: Sequence[Label], place: str, kind: Kind | None = None) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Marks a tenth of the rows, at random, spread over the classes as the rows are; every class keeps a row to train on.

    Raises DataError, naming the `place` of the rows, when there are fewer than two, or none can be spared.
    """
    if len(labels) < 2:
        raise DataError(f"{place}: {len(labels)} row is too few: a task needs two at least, one of them held out")
    kind = kind or infer_kind(labels)
    strata: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        strata.setdefault(parts_of(label)[0] if kind == "classification" and parts_of(label) else "", []).append(row)
    random = generator(SPLIT_SEED, "validation")
    shuffled = [random.permutation(np.array(rows)) for rows in strata.values()]
    wanted = _tenth_of([len(rows) for rows in shuffled], spare=1 if kind == "classification" else 0)
    left = Counter(part for label in labels for part in parts_of(label)) if kind == "multi-label" else Counter[str]()
    held = np.zeros(len(labels), bool)
    for rows, count in zip(shuffled, wanted, strict=True):
        for row in rows.tolist():
            parts = parts_of(labels[row]) if left else ()
            if count and all(left[part] > 1 for part in parts):
                held[row] = True
                left.subtract(parts)
                count -= 1
    if not held.any():
        raise DataError(f"{place}: every class has a single row, and none can be held out to validate; give two rows of one")
    return held


def _tenth_of(sizes: Sequence[int], spare: int) -> list[int]:
    """A tenth of all rows, at least one, as counts by class: largest remainders first, `spare` rows of each class left."""
    counts = [min(size // ONE_IN, size - spare) for size in sizes]
    missing = max(1, round(sum(sizes) / ONE_IN)) - sum(counts)
    for place in sorted(range(len(sizes)), key=lambda place: (-(sizes[place] % ONE_IN), -sizes[place])):
        if missing > 0 and counts[place] < sizes[place] - spare:
            counts[place] += 1
            missing -= 1
    return counts
