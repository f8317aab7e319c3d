from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mtlkit.batch import Batch


def test_flat_groups_neighbours_of_equal_length_and_counts_positions_from_the_start_of_each_text() -> None:
    batch = Batch.flat(np.arange(9, dtype=np.uint16), [2, 2, 3, 2], np.array([7, 0, 4, 1]))
    assert batch.groups == ((2, 2), (1, 3), (1, 2))
    assert batch.sizes == [4, 3, 2]
    assert batch.positions.tolist() == [0, 1, 0, 1, 0, 1, 2, 0, 1]
    assert batch.ids.tolist() == list(range(9))
    assert batch.ids.dtype == torch.int64
    assert (len(batch), batch.tokens) == (4, 9)
    assert batch.rows.tolist() == [7, 0, 4, 1]


def test_join_keeps_the_texts_in_the_order_of_their_batches() -> None:
    first = Batch.flat(np.array([1, 2]), [2], np.array([5]))
    second = Batch.flat(np.array([3, 4, 5]), [1, 2], np.array([0, 9]))
    joined = Batch.join([first, second])
    assert joined.ids.tolist() == [1, 2, 3, 4, 5]
    assert joined.positions.tolist() == [0, 1, 0, 0, 1]
    assert joined.groups == ((1, 2), (1, 1), (1, 2))
    assert joined.rows.tolist() == [5, 0, 9]
    assert Batch.join([first]) is first


def test_the_cpu_gets_the_same_batch_and_another_device_a_moved_one() -> None:
    batch = Batch.flat(np.array([1, 2]), [2], np.array([5]))
    assert batch.to(torch.device("cpu")) is batch
    moved = batch.to(torch.device("meta"))
    assert moved.ids.device.type == moved.positions.device.type == "meta"
    assert (moved.groups, moved.tokens) == (batch.groups, 2)


def test_joined_batches_give_the_vectors_of_texts_and_of_words_back() -> None:
    texts = Batch.flat(np.array([1, 2]), [2], np.array([5]))
    words = replace(Batch.flat(np.array([3, 4, 5]), [3], np.array([0])), words=torch.tensor([0, 2]), pooled=False)
    joined = Batch.join([texts, words, texts])
    assert joined.words is not None
    assert joined.pooled
    assert joined.ids[joined.words].tolist() == [3, 5]
    vectors = torch.arange(5)  # of three texts, then of two words
    assert [part.tolist() for part in Batch.split(vectors, [texts, words, texts])] == [[0], [3, 4], [2]]
    assert [part.tolist() for part in Batch.split(vectors[:2], [words])] == [[0, 1]]
    assert joined.rounded().words is joined.words
    moved = joined.to(torch.device("meta"))
    assert moved.words is not None
    assert moved.words.device.type == "meta"
