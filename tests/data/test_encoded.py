"""Batches and slices of tokenised texts."""

from __future__ import annotations

import numpy as np

from mtlkit.data.encoded import EncodedWords
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


WORDS = EncodedWords(
    np.arange(10, 21, dtype=np.uint16),
    np.array([0, 4, 7, 11]),  # three windows
    first=np.array([1, 2, 5, 8, 9]),
    words=np.array([0, 2, 3, 5]),
)


def test_a_batch_has_the_place_of_the_first_token_of_each_word() -> None:
    batch = WORDS.batch([0, 1, 2])
    assert batch.rows.tolist() == [1, 0, 2]  # shortest first
    assert batch.words is not None
    assert batch.word_rows is not None
    assert batch.word_rows.tolist() == [2, 0, 1, 3, 4]
    assert batch.ids[batch.words].tolist() == WORDS.ids[WORDS.first[batch.word_rows]].tolist()
    assert not batch.pooled
    assert (WORDS.vectors, batch.vector_rows.tolist()) == (5, batch.word_rows.tolist())


def test_some_windows_keep_their_words() -> None:
    for rows in ([1, 2], [2, 0], [1], []):
        part = WORDS.take(np.array(rows, np.int64))
        numbers = WORDS.vectors_of(np.array(rows, np.int64))
        assert part.vectors == len(numbers)
        assert part.ids[part.first].tolist() == WORDS.ids[WORDS.first[numbers]].tolist()
        assert np.diff(part.words).tolist() == np.diff(WORDS.words)[rows].tolist()
    part = WORDS.between(1, 3)
    assert (len(part), part.vectors, part.first.tolist()) == (2, 3, [1, 4, 5])


def test_joined_windows_keep_their_words() -> None:
    both = WORDS.take(np.array([0, 1])).joined(WORDS.take(np.array([2])))
    assert both.ids.tolist() == WORDS.ids.tolist()
    assert both.offsets.tolist() == WORDS.offsets.tolist()
    assert (both.first.tolist(), both.words.tolist()) == (WORDS.first.tolist(), WORDS.words.tolist())
