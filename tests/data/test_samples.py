"""The corpora inside the package are honest: large enough, varied, cleanly split, neither trivial nor hopeless."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mtlkit.data.datasets.labelled import read_split
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.sources import open_source
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.rows import SkippedRows

CLASSES = {"topic": {"World", "Sports", "Business", "Sci/Tech"}, "sentiment": {"positive", "negative"}}
LEAST = {"topic": 120, "sentiment": 240}  # passages a class
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Corpus:
    name: str
    splits: dict[str, LabelledTable]

    def rows(self) -> Iterator[tuple[str, str]]:
        for table in self.splits.values():
            yield from zip(table.texts, map(str, table.labels), strict=True)


@pytest.fixture(scope="module", params=["topic", "sentiment"])
def corpus(request: pytest.FixtureRequest) -> Corpus:
    source = open_source(f"sample:{request.param}", Query())
    reading = ReadOptions("utf-8", "error", SkippedRows())
    return Corpus(request.param, {split: read_split(source, Query(), split, reading) for split in SPLITS})


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9']+", text.lower()))


def test_every_class_has_enough_passages_in_every_split(corpus: Corpus) -> None:
    counts = Counter(label for _, label in corpus.rows())
    assert set(counts) == CLASSES[corpus.name]
    assert min(counts.values()) >= LEAST[corpus.name]
    for table in corpus.splits.values():
        shares = Counter(table.labels)
        assert set(shares) == CLASSES[corpus.name]
        assert max(shares.values()) <= 1.2 * min(shares.values())


def test_passages_are_of_two_or_three_sentences_and_of_many_lengths(corpus: Corpus) -> None:
    lengths = [len(text.split()) for text, _ in corpus.rows()]
    assert min(lengths) >= 15
    assert max(lengths) <= 90
    assert sorted(lengths)[len(lengths) * 9 // 10] >= 1.5 * sorted(lengths)[len(lengths) // 10]


def test_no_text_is_in_two_splits(corpus: Corpus) -> None:
    texts = [" ".join(text.lower().split()) for text, _ in corpus.rows()]
    assert [text for text, count in Counter(texts).items() if count > 1] == []


def test_no_two_passages_share_more_than_half_of_their_words(corpus: Corpus) -> None:
    sets = [(words(text), text) for text, _ in corpus.rows()]
    alike = [
        (first, second)
        for (one, first), (other, second) in combinations(sets, 2)
        if len(one & other) > 0.5 * min(len(one), len(other))
    ]
    assert alike == []


def test_openings_differ(corpus: Corpus) -> None:
    openings = Counter(" ".join(text.lower().split()[:3]) for text, _ in corpus.rows())
    assert openings.most_common(1)[0][1] <= 6


def test_no_single_word_gives_a_class_away(corpus: Corpus) -> None:
    rows = [(words(text), label) for text, label in corpus.rows()]
    sizes = Counter(label for _, label in rows)
    holding = {label: Counter(word for found, own in rows if own == label for word in found) for label in sizes}
    telling = []
    for label, counts in holding.items():
        others = sum(size for other, size in sizes.items() if other != label)
        for word, count in counts.items():
            elsewhere = sum(holding[other][word] for other in sizes if other != label)
            if count > 0.4 * sizes[label] and elsewhere < 0.05 * others:
                telling.append((word, label))
    assert telling == []


def test_no_passage_names_its_class(corpus: Corpus) -> None:
    named = [text for text, label in corpus.rows() if re.match(rf"\W*{re.escape(label)}\b\s*[:.-]", text, re.IGNORECASE)]
    assert named == []


def test_a_linear_baseline_finds_it_neither_trivial_nor_hopeless(corpus: Corpus) -> None:
    train, test = corpus.splits["train"], corpus.splits["test"]
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    accuracy = model.fit(train.texts, train.labels).score(test.texts, test.labels)
    assert 0.55 <= accuracy <= 0.95
