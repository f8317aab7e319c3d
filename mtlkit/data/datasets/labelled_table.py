"""A table of texts with labels, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import Rows
from mtlkit.data.datasets.text_pool import TextPool
from mtlkit.data.labels.marks import Label


@dataclass(frozen=True)
class LabelledTable:
    """Texts and their labels, row by row; the place of each (`train.csv:12`) where that is kept; and how they were read. For
    pairs of texts, `texts` are the first ones, and `seconds` the second ones. For texts with labelled words, `words` are where
    the words of each text begin and end in it, (n, 2).

    Of a label column of several: the `pool` of the texts of all columns, and the `index` of each row's text in it.
    """

    texts: list[str]
    labels: list[Label]
    places: list[str] = field(default_factory=list)
    record: SourceRecord = field(default_factory=lambda: SourceRecord(""), compare=False)
    seconds: list[str] = field(default_factory=list)
    pool: TextPool | None = field(default=None, compare=False, repr=False)
    index: Rows | None = field(default=None, compare=False, repr=False)
    words: list[NDArray[np.int64]] = field(default_factory=list, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def examples(self) -> list[str]:
        """A string for each row that is equal for equal texts or pairs of texts, and that no text is equal to if it is a pair."""
        return [f"{first} \0 {second}" for first, second in self.pairs] if self.seconds else self.texts

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Both texts of each row, for pairs of texts."""
        return list(zip(self.texts, self.seconds, strict=True))

    @property
    def all_texts(self) -> list[str]:
        """All texts: for pairs, the first ones, then the second ones."""
        return [*self.texts, *self.seconds]

    @property
    def gaps(self) -> int:
        """Rows that have a label in another column only."""
        return 0 if self.pool is None else len(self.pool) - len(self)

    def joined(self, other: LabelledTable) -> LabelledTable:
        """These rows, then those of another table, whose record is not kept."""
        places = [*self.places, *other.places] if self.places and other.places else []
        seconds = [*self.seconds, *other.seconds]
        texts, labels, words = [*self.texts, *other.texts], [*self.labels, *other.labels], [*self.words, *other.words]
        return LabelledTable(texts, labels, places, self.record, seconds, words=words)

    def select(self, rows: Rows) -> LabelledTable:
        places = [self.places[row] for row in rows] if self.places else []
        seconds = [self.seconds[row] for row in rows] if self.seconds else []
        texts, labels = [self.texts[row] for row in rows], [self.labels[row] for row in rows]
        index = None if self.index is None else self.index[rows]
        words = [self.words[row] for row in rows] if self.words else []
        return LabelledTable(texts, labels, places, self.record, seconds, self.pool, index, words)
