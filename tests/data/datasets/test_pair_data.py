from __future__ import annotations

import numpy as np
import pytest

from mtlkit.config.architecture import Encoding
from mtlkit.data.datasets.pair_data import TargetTexts, check_pairs, check_scored_pairs, check_texts, prepare_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.errors import DataError

FIRSTS = ["The cat sleeps.", "A saw", "The dog sleeps near the barn.", "The cat sleeps."]
SECONDS = ["The horse", "A lathe lies on the floor.", "A saw", "The cat sleeps."]


def test_batch_of_pairs_holds_both_texts_of_each_pair(text_encoder: TextEncoder) -> None:
    pairs = prepare_pairs(FIRSTS, SECONDS, [], text_encoder)
    assert len(pairs) == 4
    batch = pairs.batch(np.array([2, 0]))
    assert sorted(batch.rows) == [0, 2, 4, 6]
    encoded = text_encoder.encode([*FIRSTS, *SECONDS])
    assert np.array_equal(
        batch.ids.numpy(), np.concatenate([text_encoder.encode([(FIRSTS + SECONDS)[row]]).ids for row in batch.rows])
    )
    assert pairs.lengths.tolist() == [encoded.lengths[row] + encoded.lengths[row + 4] for row in range(4)]
    assert pairs.scores.tolist() == []
    scored = prepare_pairs(FIRSTS, SECONDS, [0.5, 1.0, 2.0, 3.0], text_encoder)
    assert (scored.scores.dtype, scored.scores.tolist()) == (np.float32, [0.5, 1.0, 2.0, 3.0])


def test_pairs_that_share_a_text_are_no_negatives_of_each_other(text_encoder: TextEncoder) -> None:
    pairs = prepare_pairs(FIRSTS, SECONDS, [], text_encoder)
    same = pairs.same(np.arange(4))
    assert np.argwhere(same).tolist() == [
        [0, 3],  # equal first texts
        [1, 2],  # the first of one is the second of the other
        [2, 1],
        [3, 0],
    ]  # and never a pair itself, not even one of two equal texts
    assert np.argwhere(pairs.same(np.array([3, 1, 0]))).tolist() == [[0, 2], [2, 0]]
    others = prepare_pairs(["a", "b", "c"], ["x", "y", "x"], [], text_encoder)
    assert np.argwhere(others.same(np.arange(3))).tolist() == [[0, 2], [2, 0]]  # equal second texts


def test_texts_with_targets_are_batched_as_texts(text_encoder: TextEncoder) -> None:
    encoded = text_encoder.encode(FIRSTS)
    texts = TargetTexts(encoded, np.zeros((4, 8), np.float16))
    assert len(texts) == 4
    assert np.array_equal(texts.lengths, encoded.lengths)
    batch, expected = texts.batch(np.array([2, 0])), encoded.batch(np.array([2, 0]))
    assert np.array_equal(batch.rows, expected.rows)
    assert np.array_equal(batch.ids, expected.ids)


NAMES = ["anchor", "positive", "score"]


@pytest.mark.parametrize(
    ("firsts", "seconds", "says"),
    [
        (["a", "b", "c"], ["yes", "yes", "yes"], "column 'positive' has the same tokens in all 3 rows"),
        (["A a", "a A", "a a"], ["x", "y", "z"], "column 'anchor' has the same tokens in all 3 rows"),  # case is folded
        (["a", "b", "x"], ["x", "x", "c"], "any two of the 3 pairs have a text in common"),
        (["a", "b", "c"], ["b", "c", "a"], "any two of the 3 pairs have a text in common"),  # a triangle
        (["a"] * 2 + ["b"], ["b", "c", "c"], "any two of the 3 pairs have a text in common"),
    ],
)
def test_pairs_without_any_negative_are_refused(firsts: list[str], seconds: list[str], says: str) -> None:
    folding = TextEncoder(train_tokenizer([*FIRSTS, *SECONDS], 300, lowercase=True), Encoding(max_length=32))
    with pytest.raises(DataError, match=r"^p\.csv: ") as caught:
        check_pairs(prepare_pairs(firsts, seconds, [], folding), NAMES, "p.csv")
    assert says in str(caught.value)
    check_pairs(prepare_pairs([*firsts, "k"], [*seconds, "l"], [], folding), NAMES, "p.csv")


@pytest.mark.parametrize(
    ("seconds", "scores", "says"),
    [
        (["x", "y", "z"], [3.0] * 3, "column 'score' is 3 in all 3 rows"),
        (["a", "b", "c"], [1.0, 2.0, 3.0], "columns 'anchor' and 'positive' have the same text"),
    ],
)
def test_scores_or_cosines_that_cannot_differ_are_refused(
    seconds: list[str], scores: list[float], says: str, text_encoder: TextEncoder
) -> None:
    with pytest.raises(DataError) as caught:
        check_scored_pairs(prepare_pairs(["a", "b", "c"], seconds, scores, text_encoder), NAMES, "p.csv")
    assert says in str(caught.value)
    check_scored_pairs(prepare_pairs(["a", "b", "c"], ["a", "b", "x"], [1, 1, 0], text_encoder), NAMES, "p.csv")
    with pytest.raises(DataError, match="have the same pair"):
        check_scored_pairs(prepare_pairs(["a", "b"], ["b", "a"], [1, 0], text_encoder), NAMES, "p.csv")


def test_equal_texts_alone_teach_nothing(text_encoder: TextEncoder) -> None:
    def targets(texts: list[str]) -> TargetTexts:
        return TargetTexts(text_encoder.encode(texts), np.zeros((len(texts), 2)))

    with pytest.raises(DataError, match="all 3 texts have the same tokens"):
        check_texts(targets(["a", "a", "a"]), "t.txt")
    for texts in (["a"], ["a", "a", "b"]):
        check_texts(targets(texts), "t.txt")
