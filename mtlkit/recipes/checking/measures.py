"""Row counts and text lengths of splits, for `check-data`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.labelled import holds_out
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.encoded import Encoded
from mtlkit.data.quality.findings import MOST_TOKENS, CheckedSplit, Finding, LengthSummary, SplitSummary, TaskSummary
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.data.tokenization.words import encode_words
from mtlkit.progress import counting

MUCH_CUT = 0.1  # share of the training texts that triggers a finding


@dataclass(frozen=True)
class Measure:
    """The tokenizer that lengths are counted with, the length limit in tokens, and the numbers of all texts read so far."""

    encoder: TextEncoder
    max_length: int
    numbers: TextNumbers

    def whole(self, texts: Sequence[str]) -> Encoded:
        """Tokenizes texts without truncation (up to MOST_TOKENS)."""
        with counting("tokenizing", "tokenized", len(texts)):
            return self.encoder.with_encoding(max_length=MOST_TOKENS, truncate="head").encode(texts)

    def unread(self, table: LabelledTable) -> Rows:
        """The texts with a word that has no token, ascending, of a table whose words have labels."""
        unread = encode_words(table.texts, table.words, self.encoder.with_encoding(max_length=MOST_TOKENS)).unread
        ends = np.cumsum([len(words) for words in table.words])
        texts: Rows = np.unique(np.searchsorted(ends, unread, side="right"))
        return texts

    def cut(self, texts: Sequence[str]) -> Encoded:
        """Tokenizes texts with the truncation of the model."""
        with counting("tokenizing", "tokenized", len(texts)):
            return self.encoder.with_encoding(max_length=self.max_length).encode(texts)

    def lengths(self, whole: Encoded, max_length: int | None = None) -> LengthSummary:
        """Summarizes text lengths in tokens."""
        counts = whole.lengths
        median, most_are_below = np.percentile(counts, [50, 95]).tolist()
        cut = int((counts > (max_length or self.max_length)).sum())
        return LengthSummary(median, most_are_below, int(counts.max()), cut, len(counts))


class CheckedData(Protocol):
    """Data to check: a task or a source of texts."""

    @property
    def texts(self) -> Sequence[CheckedSplit]:
        """The texts of its splits, train first, for comparison with other data."""

    def check(self, measure: Measure) -> tuple[TaskSummary, Iterable[Finding]]:
        """Its summary, and findings about this data alone."""


def held_out(source: str, summaries: Iterable[SplitSummary]) -> tuple[tuple[SplitSummary, ...], tuple[str, ...]]:
    """The summaries with `held_out` set for validation rows held out of train, and the splits that the source does not have."""
    holds = holds_out(source)
    marked = tuple(replace(split, held_out=holds and split.name == "validation") for split in summaries)
    names = {split.name for split in marked if not split.held_out}
    return marked, tuple(name for name in ("validation", "test") if name not in names)


def cut_texts(task: TaskSummary, max_length: int) -> Iterator[Finding]:
    """A finding if many training texts exceed the length limit."""
    train = task.splits[0]
    cut, texts = train.lengths.cut, train.lengths.texts
    if cut > MUCH_CUT * texts:
        yield Finding("cut", task.name, train.name, cut, texts, figure=max_length)
