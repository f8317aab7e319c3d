from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.data.documents import DocumentSampler
from mtlkit.data.windows import Pieces


def sampler(lengths: list[int], length: int, *, ends: tuple[int, ...] = (), shares: tuple[float, ...] = ()) -> DocumentSampler:
    """Texts whose tokens are numbered on, from one to the next."""
    offsets = np.cumsum([0, *lengths])
    return DocumentSampler(np.arange(offsets[-1], dtype=np.uint16), length, offsets, ends or (len(lengths),), shares)


def read(documents: DocumentSampler, batches: list[Pieces]) -> np.ndarray:
    return np.concatenate([documents.take(batch)[0] for batch in batches])


lengths = st.lists(st.integers(1, 60), min_size=1, max_size=30)
numbers = st.integers(0, 2**31 - 1)


@given(
    lengths=lengths,
    length=st.integers(1, 20),
    seed=numbers,
    epoch=st.integers(0, 9),
    per_batch=st.integers(1, 4),
)
@settings(max_examples=100, deadline=None)
def test_every_token_is_read_once_in_full_batches_of_pieces_of_one_text(
    lengths: list[int], length: int, seed: int, epoch: int, per_batch: int
) -> None:
    documents = sampler(lengths, length)
    batches = documents.epoch(epoch, seed, per_batch)
    assert len(batches) == documents.batches(per_batch)
    assert [batch.lengths.sum() for batch in batches[:-1]] == [per_batch * length] * (len(batches) - 1)
    assert 0 < batches[-1].lengths.sum() <= per_batch * length
    last = np.cumsum(lengths) - 1  # of each text
    assert sorted(read(documents, batches).tolist()) == list(range(sum(lengths)))
    for batch in batches:
        assert (np.diff(batch.lengths) >= 0).all()
        assert 1 <= batch.lengths.min() <= batch.lengths.max() <= length
        ends = batch.starts + batch.lengths - 1
        assert (np.searchsorted(last, batch.starts) == np.searchsorted(last, ends)).all()  # each within one text
        ids, targets = documents.take(batch)
        assert (targets == (ids + 1) % sum(lengths)).all()


def test_texts_that_fit_are_cut_only_where_a_batch_is_full() -> None:
    documents = sampler([20] * 200, 64)
    batches = documents.epoch(0, 0, 8)
    cut = sum(int((batch.lengths < 20).sum()) for batch in batches)
    assert 0 < cut <= 2 * (len(batches) - 1)


def test_long_texts_are_cut_at_other_places_in_each_epoch_and_in_few_pieces() -> None:
    documents = sampler([100] * 6, 30)
    epochs = [documents.epoch(epoch, 0, 100) for epoch in range(4)]
    assert all(sorted(batches[0].lengths.tolist()) == [10] * 6 + [30] * 18 for batches in epochs)
    assert len({str(sorted(batches[0].starts.tolist())) for batches in epochs}) == 4


def test_epochs_and_seeds_differ_and_are_reproduced() -> None:
    documents = sampler(list(range(2, 40)), 16)
    once = [read(documents, documents.epoch(epoch, seed, 2)).tolist() for epoch, seed in ((0, 0), (1, 0), (0, 1))]
    assert len({str(ids) for ids in once}) == 3
    assert once[0] == read(documents, documents.epoch(0, 0, 2)).tolist()


def test_sources_give_their_shares_and_small_ones_are_repeated_evenly() -> None:
    documents = sampler([10] * 20 + [50] * 40, 16, ends=(20, 60), shares=(1.0, 3.0))
    total = 20 * 10 + 40 * 50
    assert documents.quotas.tolist() == [total // 4, total - total // 4]
    first, second = documents.shares_of_epoch
    assert (first.share, first.passes) == (0.25, 2.75)
    assert second.passes == pytest.approx(0.825)
    used = np.zeros(len(documents.ids), int)
    for epoch in range(4):
        ids = read(documents, documents.epoch(epoch, 0, 3))
        assert (ids < 200).sum() == total // 4
        np.add.at(used, ids, 1)
    small, large = used[:200], used[200:]
    assert (small.min(), small.max(), large.min(), large.max()) == (11, 11, 3, 4)


def test_empty_texts_are_no_pieces() -> None:
    documents = sampler([0, 4, 0], 4)
    assert read(documents, documents.epoch(0, 0, 1)).tolist() == [0, 1, 2, 3]
    assert (len(documents), documents.counts.tolist()) == (1, [1])
