"""Tokenized data of a task for training: token ids and label arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.batch import Batch
from mtlkit.config.architecture import TaskSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.cache import encode_cached, encode_pairs_cached, encode_words_cached, fingerprint
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.data.labels.codec import encode_labels, unseen_labels
from mtlkit.data.labels.reader import joining_key
from mtlkit.data.labels.values import quoted
from mtlkit.data.labels.word_labels import first_words, mark_windows, text_offsets
from mtlkit.data.tokenization.text_pairs import number_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import DataError, UsageError


@dataclass(frozen=True)
class LabelledTexts:
    """Rows with a label that the head knows. `rows` are their indices in the table; `unseen` counts the dropped rows by label.

    `encoded` are the texts of the rows; for pairs in one sequence, these sequences. If a head reads the vectors of N pairs
    of texts, it is every different text once, and `pairs`, (2, N), has the numbers of the two texts of each row among them.

    Of a label column of several: `pool` are the texts of all columns, and `index` has the number of each row's text in it, (N,),
    ascending.

    For heads that read words, `encoded` are windows of the texts, and `labels` are those of all words. What is drawn for a batch
    is a window, so examples are windows.
    """

    encoded: Encoded
    labels: NDArray[Any]
    rows: NDArray[np.int64]
    unseen: Counter[str]
    pairs: NDArray[np.int64] | None = None
    pool: Encoded | None = None
    index: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.encoded) if isinstance(self.encoded, EncodedWords) else len(self.labels)

    @property
    def begins(self) -> NDArray[np.bool_] | None:
        """Whether each word is the first of its text, (W,), for heads that read words; else None."""
        return first_words(self.labels) if isinstance(self.encoded, EncodedWords) else None

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each row, (N,): of its text, or of both texts of a pair."""
        lengths: NDArray[np.int64] = self.encoded.lengths
        return lengths if self.pairs is None else lengths[self.pairs].sum(0)

    def texts_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the texts of these rows among `encoded`, each once."""
        return rows if self.pairs is None else np.unique(self.pairs[:, rows])

    def places(self, texts: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Where in a list of text numbers, (M,), the two texts of each of these rows are, (2, n); None for single texts."""
        if self.pairs is None:
            return None
        order = np.argsort(texts)
        places: NDArray[np.int64] = order[np.searchsorted(texts, self.pairs[:, rows], sorter=order)]
        return places

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The texts of these rows as one flat batch."""
        return self.encoded.batch(self.texts_of(rows))


@dataclass(frozen=True)
class TaskData:
    """A task with its training and validation rows, and how these were read. `held_out`: the validation rows are training rows of
    the source that were left out, not a split of it."""

    spec: TaskSpec
    train: LabelledTexts
    validation: LabelledTexts
    fingerprint: dict[str, Any]
    record: SourceRecord
    held_out: bool = False

    @property
    def name(self) -> str:
        return self.spec.name


def prepare(spec: TaskSpec, table: LabelledTable, encoder: TextEncoder) -> LabelledTexts:
    """A table as token ids and label arrays. Raises DataError if it has rows, and none has a label that the head knows, and
    UsageError if rows are not what the head reads: texts, pairs of texts, or words."""
    if len(table):
        check_examples(spec, table)
    labels, rows = encode_labels(spec, table.labels)
    unseen = unseen_labels(spec, table.labels)
    if not len(rows) and len(table):
        labels_of_both = f"data: {quoted(unseen)}; head: {quoted(spec.labels)}"
        hint = joining_key(unseen, spec.labels)
        reason = "every text has a tag that the head does not know" if spec.tags else "no row has a label that the head knows"
        raise DataError(f"task '{spec.name}': {reason}; {labels_of_both}{hint}")
    if table.pool is not None and table.index is not None:
        pool, index = table.pool.encode(encoder), table.index[rows]
        encoded = pool if len(index) == len(pool) else pool.take(index)
        return LabelledTexts(encoded, labels, rows, unseen, pool=pool, index=index)
    known = table.select(rows)
    if spec.tags is not None:
        return windows_of(known, labels, rows, unseen, encoder)
    if spec.joint and known.seconds:
        return LabelledTexts(encode_pairs_cached(known.pairs, encoder), labels, rows, unseen)
    if spec.pair != "vectors":
        return LabelledTexts(encode_cached(known.texts, encoder), labels, rows, unseen)
    texts, pairs = number_pairs(known.pairs)
    return LabelledTexts(encode_cached(texts, encoder), labels, rows, unseen, pairs)


def windows_of(
    table: LabelledTable, labels: NDArray[Any], rows: NDArray[np.int64], unseen: Counter[str], encoder: TextEncoder
) -> LabelledTexts:
    """The windows of texts with labelled words, whose first words are marked in `labels`, (W, 2)."""
    encoded = encode_words_cached(table.texts, table.words, encoder)
    mark_windows(labels, encoded.words[:-1][np.diff(encoded.words) > 0])
    return LabelledTexts(encoded, labels, rows, unseen)


def check_examples(spec: TaskSpec, table: LabelledTable) -> None:
    """Raises UsageError if a head reads pairs of texts, or words, and the rows are single texts, or the other way round."""
    if spec.tags is None and table.words:
        raise UsageError(f"task '{spec.name}': its head reads texts, and rows of {table.record.source} have labels for words")
    if spec.tags is not None and not table.words:
        raise UsageError(
            f"task '{spec.name}': its head labels words; specify the columns of {table.record.source}: "
            "?tokens=COLUMN&tags=COLUMN, or ?text=COLUMN&spans=COLUMN"
        )
    if spec.pair is None and table.seconds:
        raise UsageError(f"task '{spec.name}': its head reads one text, and rows of {table.record.source} are pairs of texts")
    if not spec.reads(pairs=False) and not table.seconds:
        raise UsageError(
            f"task '{spec.name}': its head reads pairs of texts; specify the two columns of {table.record.source}: "
            "?pair=FIRST,SECOND"
        )


def split_fingerprint(table: LabelledTable) -> dict[str, Any]:
    """The number of rows, and of gaps if it is a label column of several, and a digest of texts and labels."""
    gaps = {} if table.pool is None else {"gaps": table.gaps}
    return {"rows": len(table), **gaps, "sha256": fingerprint([*table.all_texts, *map(str, table.labels)])}


def rows_of_classes(task: TaskData, labels: Sequence[str]) -> Rows:
    """The validation rows of a task with classes that have these labels and no others, (M,); of a task that labels words, the
    words of such texts."""
    kept = np.isin(task.spec.labels, labels)
    encoded = task.validation.labels
    if task.spec.tags is not None and len(encoded):
        offsets = text_offsets(encoded)
        texts = np.logical_and.reduceat(kept[encoded[:, 0]], offsets[:-1])
        return np.flatnonzero(np.repeat(texts, np.diff(offsets)))
    return np.flatnonzero(kept[encoded] if encoded.ndim == 1 else ~(encoded[:, ~kept] > 0.5).any(1))


def prepare_task(
    spec: TaskSpec,
    source: str,
    train: LabelledTable,
    validation: LabelledTable,
    encoder: TextEncoder,
    *,
    watched: bool = False,
    held_out: bool = False,
) -> TaskData:
    """Training and validation rows of a task, with the fingerprints for its run; `watched` is recorded with them."""
    data: dict[str, Any] = {
        "source": source,
        "train": split_fingerprint(train),
        "validation": split_fingerprint(validation),
        **({"watched": True} if watched else {}),
    }
    record = replace(train.record, source=source, kind=spec.kind)
    return TaskData(spec, prepare(spec, train, encoder), prepare(spec, validation, encoder), data, record, held_out)
