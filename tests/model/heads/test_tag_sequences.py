"""The best allowed sequence of tags, against all sequences."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.data.labels.tag_schemes import Tags, complete_tags
from mtlkit.model.heads import tag_sequences as module
from mtlkit.model.heads.tag_sequences import log_marginals, viterbi
from mtlkit.tasks.tag_decoding import allowed_table

BIO = complete_tags(["B-X", "B-Y"])
BIOES = complete_tags(["S-X"])
LENGTHS = (3, 1, 4, 2, 3)


def table(tags: Tags) -> np.ndarray:
    """What the scheme allows."""
    return allowed_table(TaskSpec("things", "tokens", tags.names, tags=tags.scheme))


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
    found = np.split(viterbi(scores, begins, table(tags)), firsts[1:-1])
    for path, part in zip(found, np.split(scores, firsts[1:-1]), strict=True):
        assert tuple(path) == brute_force(part, tags)


def test_plain_tags_are_decided_word_by_word() -> None:
    scores = np.random.default_rng(0).normal(size=(50, 4))
    tags = complete_tags(["A", "B", "C", "D"], "plain")
    assert np.array_equal(viterbi(scores, np.arange(50) % 7 == 0, table(tags)), scores.argmax(1))


def test_no_words_have_no_tags() -> None:
    assert viterbi(np.zeros((0, 5)), np.zeros(0, np.bool_), table(BIO)).shape == (0,)


def test_marginals_do_not_depend_on_the_texts_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    scores, learned = random.normal(size=(sum(LENGTHS), 3)), random.normal(size=(4, 4))
    begins = np.isin(np.arange(len(scores)), np.cumsum((0, *LENGTHS)))
    together = log_marginals(scores, begins, learned)
    monkeypatch.setattr(module, "CELLS_AT_ONCE", 1)
    np.testing.assert_allclose(log_marginals(scores, begins, learned), together, rtol=1e-6)
    assert log_marginals(scores[:0], begins[:0], learned).shape == (0, 3)
