"""Finds the candidates that are nearest to the first text of each pair, by exact comparison in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.mine import MineOptions
from mtlkit.errors import rows_from
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.nearest import Nearest, Scores
from mtlkit.inference.prompts import DOCUMENT_PROMPTS, QUERY_PROMPTS, role_prompt
from mtlkit.inference.similarity import pair_similarities, scaled_for, similarities_of_scaled
from mtlkit.progress import counting
from mtlkit.recipes.inputs.texts import parts
from mtlkit.recipes.mining.candidates import DistinctTexts, key_of

ANCHORS_AT_ONCE = 1024
Numbers = NDArray[np.int64]


class PairIndex:
    """P pairs by the numbers of their different first texts, the anchors, and of their different second texts: `anchor` and
    `second`, (P,) each."""

    def __init__(self, firsts: Sequence[str], seconds: Sequence[str]) -> None:
        self.anchors, self.seconds = DistinctTexts(lambda: firsts), DistinctTexts(lambda: seconds)
        numbers: list[dict[bytes, int]] = [{}, {}]
        self.anchor, self.second = (
            np.array([known.setdefault(key_of(text), len(known)) for text in texts], np.int64)
            for known, texts in zip(numbers, (firsts, seconds), strict=True)
        )
        self._owners: dict[bytes, list[int]] = {}  # by the key of a text, the anchors for which it is no negative
        for key, number in numbers[0].items():
            self._owners.setdefault(key, []).append(number)
        for text, number in zip(seconds, self.anchor.tolist(), strict=True):
            self._owners.setdefault(key_of(text), []).append(number)

    def excluded(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """The anchors and texts of a block that do not go together, as the text is the anchor or matches it: numbers of anchors,
        ascending, and places in the block."""
        pairs = [(anchor, place) for place, text in enumerate(texts) for anchor in self._owners.get(key_of(text), ())]
        anchors, places = np.array(sorted(pairs), np.int64).reshape(-1, 2).T
        return anchors, places


class Found(NamedTuple):
    """The nearest candidates of each of P pairs and their similarities, (P, K) each; that of its second text, (P,); and the
    number of candidates."""

    candidates: Numbers
    scores: Scores
    positives: Scores
    compared: int


class Search:
    """Compares the anchors of pairs with texts, block by block."""

    def __init__(self, pairs: PairIndex, options: MineOptions, loaded: LoadedModel) -> None:
        self.pairs, self.loaded = pairs, loaded
        self.kind, self.width = loaded.checkpoint.vectors.similarity, loaded.output_dim(options.dim)
        self.prompts = [
            None if options.prompt is not None else role_prompt(loaded.checkpoint.vectors, names)
            for names in (QUERY_PROMPTS, DOCUMENT_PROMPTS)
        ]
        anchors = list(pairs.anchors)
        with counting("encoding anchors", "encoded", len(anchors)):
            self.anchors = self._vectors(anchors, self.prompts[0])
        self.nearest = Nearest(len(anchors), options.depth)
        self.positives = np.empty(len(pairs.anchor), np.float32)

    def run(self, corpus: DistinctTexts | None) -> Found:
        """The nearest texts of the corpus, or of all second texts for None. Raises UsageError, DataError."""
        count = 0
        with counting("encoding second texts", "encoded"):
            for count, texts, block in self._blocks(self.pairs.seconds):
                self._compare_pairs(count, len(texts), block)
                if corpus is None:
                    self._compare(count, texts, block)
                count += len(texts)
        if corpus is not None:
            count = 0
            with counting("encoding the corpus", "encoded"):
                for count, texts, block in self._blocks(corpus):
                    self._compare(count, texts, block)
                    count += len(texts)
        found, scores = self.nearest.best()
        return Found(found[self.pairs.anchor], scores[self.pairs.anchor], self.positives, count)

    def _blocks(self, texts: DistinctTexts) -> Iterator[tuple[int, list[str], Scores]]:
        """Texts and their vectors, with the number of the first."""
        start = 0
        for part in parts(iter(texts)):
            with rows_from(start):
                block = self._vectors(part, self.prompts[1])
            yield start, part, block
            start += len(part)

    def _vectors(self, texts: Sequence[str], prompt: str | None) -> Scores:
        return scaled_for(self.loaded.embed(texts, prompt=prompt, dim=self.width), self.kind)

    def _compare_pairs(self, start: int, count: int, block: Scores) -> None:
        """The similarity of anchors and their second texts in this block."""
        pairs = self.pairs
        own = np.flatnonzero((pairs.second >= start) & (pairs.second < start + count))
        for rows in np.array_split(own, 1 + len(own) // ANCHORS_AT_ONCE):
            both = np.concatenate([self.anchors[pairs.anchor[rows]], block[pairs.second[rows] - start]])
            self.positives[rows] = pair_similarities(both, self.kind)

    def _compare(self, start: int, texts: Sequence[str], block: Scores) -> None:
        """Keeps the texts of this block that are among the nearest to an anchor."""
        anchors, places = self.pairs.excluded(texts)
        numbers = np.arange(start, start + len(texts))
        for first in range(0, len(self.anchors), ANCHORS_AT_ONCE):
            some = slice(first, first + ANCHORS_AT_ONCE)
            scores = similarities_of_scaled(self.anchors[some], block, self.kind)
            own = slice(*np.searchsorted(anchors, (some.start, some.stop)))
            scores[anchors[own] - first, places[own]] = -np.inf
            self.nearest.add(some, scores, numbers)
