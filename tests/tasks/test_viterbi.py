"""The best allowed sequence of tags, against all sequences."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mtlkit.data.labels.tag_schemes import Tags, complete_tags
from mtlkit.tasks import viterbi as module
from mtlkit.tasks.viterbi import viterbi

BIO = complete_tags(["B-X", "B-Y"])
BIOES = complete_tags(["S-X"])
LENGTHS = (3, 1, 4, 2, 3)


def brute_force(scores: np.ndarray, tags: Tags) -> tuple[int, ...]:
    """The best path of one text among all that have the same tags after they are read and written again."""
    offsets = np.array([0, len(scores)])

    def valid(path: tuple[int, ...]) -> bool:
        return np.array_equal(tags.encode(tags.spans(np.array(path), offsets), offsets), path)

    def total(path: tuple[int, ...]) -> float:
        return float(scores[range(len(path)), path].sum())

    return max(filter(valid, product(range(len(tags.names)), repeat=len(scores))), key=total)


@pytest.mark.parametrize("at_once", [1 << 22, 1], ids=["together", "one-by-one"])
@pytest.mark.parametrize("tags", [BIO, BIOES], ids=["bio", "bioes"])
def test_paths_are_the_best_valid_ones(tags: Tags, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CELLS_AT_ONCE", at_once)
    random, count = np.random.default_rng(0), len(tags.names)
    scores = random.normal(size=(sum(LENGTHS), count))
    firsts = np.cumsum((0, *LENGTHS))
    begins = np.isin(np.arange(len(scores)), firsts)
    found = np.split(viterbi(scores, begins, tags.transitions()), firsts[1:-1])
    for path, part in zip(found, np.split(scores, firsts[1:-1]), strict=True):
        assert tuple(path) == brute_force(part, tags)


def test_plain_tags_are_decided_word_by_word() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 4))
    tags = complete_tags(["A", "B", "C", "D"], "plain")
    assert np.array_equal(viterbi(scores, np.arange(50) % 7 == 0, tags.transitions()), scores.argmax(1))


def test_no_words_have_no_tags() -> None:
    assert viterbi(np.zeros((0, 5)), np.zeros(0, np.bool_), BIO.transitions()).shape == (0,)
