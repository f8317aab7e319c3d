from __future__ import annotations

import numpy as np

from mtlkit.data.tokenizer import TextEncoder
from mtlkit.data.vector_tasks import TargetTexts, prepare_pairs

FIRSTS = ["The cat sleeps.", "A saw", "The dog sleeps near the barn.", "The cat sleeps."]
SECONDS = ["The horse", "A lathe lies on the floor.", "A saw", "The cat sleeps."]


def test_a_batch_of_pairs_holds_both_texts_of_each_and_says_which_they_are(text_encoder: TextEncoder) -> None:
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
