"""How many rows the splits of some data have, and how long their texts are, for `check-data`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mtlkit.data.datasets.labelled import holds_out
from mtlkit.data.encoded import Encoded
from mtlkit.data.quality.findings import MOST_TOKENS, CheckedSplit, Finding, LengthSummary, SplitSummary, TaskSummary
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.data.tokenization.tokenizer import TextEncoder

MUCH_CUT = 0.1  # of the training texts


@dataclass(frozen=True)
class Measure:
    """Whose tokens are counted, the length at which texts are cut, and the numbers of all texts that were read."""

    encoder: TextEncoder
    max_length: int
    numbers: TextNumbers

    def whole(self, texts: Sequence[str]) -> Encoded:
        """Texts as tokens, as good as uncut."""
        return self.encoder.with_encoding(max_length=MOST_TOKENS, truncate="head").encode(texts)

    def cut(self, texts: Sequence[str]) -> Encoded:
        """Texts as the model reads them."""
        return self.encoder.with_encoding(max_length=self.max_length).encode(texts)

    def lengths(self, whole: Encoded, max_length: int | None = None) -> LengthSummary:
        """How long texts are."""
        counts = whole.lengths
        median, most_are_below = np.percentile(counts, [50, 95]).tolist()
        cut = int((counts > (max_length or self.max_length)).sum())
        return LengthSummary(median, most_are_below, int(counts.max()), cut, len(counts))


class CheckedData(Protocol):
    """Data that was read and is to be checked: a task, or a source of texts."""

    @property
    def texts(self) -> Sequence[CheckedSplit]:
        """Its splits, train first, text by text: what other data is compared with."""

    def check(self, measure: Measure) -> tuple[TaskSummary, Iterable[Finding]]:
        """Its figures, and what may be wrong with it by itself."""


def held_out(source: str, summaries: Iterable[SplitSummary]) -> tuple[tuple[SplitSummary, ...], tuple[str, ...]]:
    """Summaries that say whether validation rows are held out of train, and the splits that the source has not."""
    holds = holds_out(source)
    marked = tuple(replace(one, held_out=holds and one.name == "validation") for one in summaries)
    names = {one.name for one in marked if not one.held_out}
    return marked, tuple(name for name in ("validation", "test") if name not in names)


def cut_texts(task: TaskSummary, max_length: int) -> Iterator[Finding]:
    """That many training texts are longer than what the model reads of them."""
    train = task.splits[0]
    cut, texts = train.lengths.cut, train.lengths.texts
    if cut > MUCH_CUT * texts:
        yield Finding("cut", task.name, train.name, cut, texts, figure=max_length)
