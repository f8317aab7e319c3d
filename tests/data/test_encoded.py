"""Batches and slices of tokenised texts."""

from __future__ import annotations

import numpy as np

from mtlkit.data.tokenization.tokenizer import TextEncoder


def test_batch_holds_the_texts_shortest_first(text_encoder: TextEncoder) -> None:
    encoded = text_encoder.encode(["The otter sleeps near the barn.", "a", "", "The dog"])
    batch = encoded.batch([0, 1, 3])
    assert batch.rows.tolist() == [1, 3, 0]
    expected = np.concatenate([encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]] for row in (1, 3, 0)])
    assert batch.ids.tolist() == expected.tolist()


def test_some_texts_in_a_row_are_those_texts(text_encoder: TextEncoder) -> None:
    encoded = text_encoder.encode(["A dog", "", "The otter lies near the barn.", "cat"])
    for start, stop in [(0, 4), (1, 3), (3, 4), (2, 2)]:
        part = encoded.between(start, stop)
        assert len(part) == stop - start
        for row in range(start, stop):
            wanted = encoded.ids[encoded.places(np.array([row]))]
            assert part.ids[part.places(np.array([row - start]))].tolist() == wanted.tolist()
            assert wanted.tolist() == encoded.ids[encoded.offsets[row] : encoded.offsets[row + 1]].tolist()
