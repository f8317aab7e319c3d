"""An engine that keeps outputs of heads in the user's cache, and runs another one only for those that are not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import sha256

import numpy as np

from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.inference.engines.base import ROUTER, Array, Engine, Pairs, are_vectors
from mtlkit.runs.store import PREDICTIONS, Arrays, StoreEntry, cache_key, has_shape, user_entry

FORMAT = "2"  # incremented when the stored arrays change, also by rounding
OUTPUTS = "outputs"


class StoredOutputs:
    """An engine whose outputs of heads are stored. `about` is all that they depend on besides the tokens: the digest of the
    model, the machine and the versions. What `open_engine` returns is used only if something is not stored.

    Outputs are stored as they are, before calibration and thresholds, and without texts and labels.
    """

    def __init__(self, open_engine: Callable[[], Engine], precision: str, about: Sequence[str]) -> None:
        self._open, self._about, self._precision = open_engine, about, precision
        self.reused: set[str] = set()
        self.computed: set[str] = set()

    @cached_property
    def engine(self) -> Engine:
        """The engine that computes."""
        return self._open()

    @property
    def precision(self) -> str:
        return self._precision

    @property
    def tokens_at_once(self) -> int:
        return self.engine.tokens_at_once

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None, task: str | None = None) -> Array:
        return self.engine.vectors(encoded, batch_tokens, task)

    def outputs(self, encoded: Encoded, tasks: Sequence[str], pairs: Pairs | None = None) -> dict[str, Array]:
        if isinstance(encoded, EncodedWords) and encoded.texts is not None:  # heads of words and of texts at once
            return self.engine.outputs(encoded, tasks, pairs)
        rows = encoded.vectors if pairs is None else pairs.shape[1]
        tokens = fingerprint_of(encoded, pairs)
        entries = {task: self._entry(task, tokens) for task in tasks if not are_vectors(task)}
        stored = {task: _read(entry, rows) for task, entry in entries.items()}
        found = {task: arrays[OUTPUTS] for task, arrays in stored.items() if arrays is not None}
        self.reused |= found.keys() - {ROUTER}
        if missing := [task for task in tasks if task not in found]:
            computed = self.engine.outputs(encoded, missing, pairs)
            for task in entries.keys() & computed.keys():
                self.computed.add(task)
                entries[task].keep({OUTPUTS: np.ascontiguousarray(computed[task], np.float32)})
            found |= computed
        return {task: found[task] for task in tasks}

    def _entry(self, task: str, tokens: str) -> StoreEntry:
        return user_entry(PREDICTIONS, cache_key(FORMAT, *self._about, task, tokens))


def _read(entry: StoreEntry, rows: int) -> Arrays | None:
    return entry.read(lambda arrays: has_shape(arrays.get(OUTPUTS), "<f4", rows, None))


def fingerprint_of(encoded: Encoded, pairs: Pairs | None) -> str:
    """SHA-256 of what an engine reads: tokens, texts, pairs and words."""
    arrays = [encoded.ids, encoded.offsets, np.array([encoded.skip]), encoded.types, pairs]
    if isinstance(encoded, EncodedWords):
        arrays += [encoded.first, encoded.words, encoded.begins]
    total = sha256()
    for array in arrays:
        total.update(b"none" if array is None else f"{array.dtype.str} {array.shape} ".encode())
        if array is not None:
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
