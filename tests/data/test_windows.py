from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlkit.data.tokenization.tokenizer import PAD
from mtlkit.data.windows import MixedWindows, Pieces, WindowSampler

if TYPE_CHECKING:
    from mtlkit.data.tokenization.tokenizer import TextEncoder

numbers = st.integers(0, 2**31 - 1)


def as_lists(batches: list[Pieces]) -> list[tuple[list[int], list[int]]]:
    return [(batch.starts.tolist(), batch.lengths.tolist()) for batch in batches]


@given(
    tokens=st.integers(2, 500),
    length=st.integers(1, 60),
    seed=numbers,
    epoch=st.integers(0, 50),
    per_batch=st.integers(1, 7),
)
@settings(max_examples=60, deadline=None)
def test_windows_are_packed_and_targets_are_shifted_by_one(
    tokens: int, length: int, seed: int, epoch: int, per_batch: int
) -> None:
    windows = WindowSampler(np.arange(tokens, dtype=np.uint16), length)
    batches = windows.epoch(epoch, seed, per_batch)
    assert as_lists(windows.epoch(epoch, seed, per_batch)) == as_lists(batches)
    assert 0 <= windows.batches(per_batch) - len(batches) <= 1  # shifted windows are one fewer
    seen: list[int] = []
    for batch in batches:
        assert 1 <= len(batch.starts) <= per_batch
        ids, targets = windows.take(batch)
        assert len(ids) == len(batch.starts) * length
        assert (targets == ids + 1).all()  # the stream is 0, 1, 2, ..., so the token after n is n + 1
        assert (np.diff(ids.reshape(-1, length), axis=1) == 1).all()
        seen += ids.tolist()
    assert len(seen) == len(set(seen))  # no token twice
    assert len(seen) > tokens - 1 - 2 * length  # less than a window is left at either end
    assert bool(seen) == (tokens > length)


def test_windows_are_cut_and_shuffled_again_each_epoch() -> None:
    windows = WindowSampler(np.arange(3000, dtype=np.uint16), 50)
    passes = [windows.epoch(epoch, 0, 4) for epoch in range(5)]
    assert len({int(batches[0].starts[0]) % 50 for batches in passes}) > 1
    assert len({str(as_lists(batches)) for batches in passes}) == 5
    assert as_lists(windows.epoch(0, 1, 4)) != as_lists(passes[0])


def test_packed_text_holds_no_padding(text_encoder: TextEncoder) -> None:
    stream = text_encoder.stream(["The otter sleeps near the barn.", "", "A saw lies broken."] * 20)
    windows = WindowSampler(stream.ids, 16)
    ids = np.concatenate([windows.take(batch)[0] for batch in windows.epoch(0, 0, 3)])
    assert text_encoder.tokenizer.token_to_id(PAD) not in ids
    assert len(ids) / len(stream.ids) > 0.95


def mixed(lengths: list[int], shares: list[float], length: int = 10) -> MixedWindows:
    """Streams whose tokens are numbered on, from one to the next."""
    ends = np.cumsum(lengths)
    return MixedWindows(np.arange(ends[-1], dtype=np.uint16), length, tuple(ends.tolist()), tuple(shares))


@given(
    lengths=st.lists(st.integers(11, 300), min_size=1, max_size=4),
    shares=st.lists(st.floats(0.01, 1), min_size=4, max_size=4),
    seed=numbers,
    epoch=st.integers(0, 50),
)
@settings(max_examples=60, deadline=None)
def test_streams_give_their_shares_and_stay_apart(lengths: list[int], shares: list[float], seed: int, epoch: int) -> None:
    windows = mixed(lengths, shares[: len(lengths)])
    batches = windows.epoch(epoch, seed, 3)
    assert sum(len(batch.starts) for batch in batches) == len(windows) == windows.quotas.sum()
    ids, targets = (np.concatenate(part) for part in zip(*(windows.take(batch) for batch in batches), strict=True))
    assert (targets == ids + 1).all()
    firsts, lasts = ids.reshape(-1, 10)[:, 0], targets.reshape(-1, 10)[:, -1]
    streams = np.searchsorted(windows.ends, firsts, side="right")
    assert (streams == np.searchsorted(windows.ends, lasts, side="right")).all()  # no window crosses a border
    assert np.bincount(streams, minlength=len(lengths)).tolist() == windows.quotas.tolist()
    exact = np.array(shares[: len(lengths)]) / sum(shares[: len(lengths)]) * len(windows)
    assert np.abs(windows.quotas - exact).max() < 1


def test_a_small_stream_is_repeated_evenly_and_a_large_one_spread_over_epochs() -> None:
    windows = mixed([51, 1001], [0.5, 0.5])
    used = np.zeros(len(windows), int)
    for epoch in range(8):
        for batch in windows.epoch(epoch, 0, 4):
            stream = batch.starts >= 51
            np.add.at(used, np.where(stream, 5 + (batch.starts - 51) // 10, batch.starts // 10), 1)
    small, large = used[:4], used[5:104]  # the last window of a stream may be cut by the shift
    assert small.max() - small.min() <= 1
    assert small.min() > 30
    assert (large.min(), large.max()) == (4, 5)
