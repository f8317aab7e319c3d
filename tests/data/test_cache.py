"""Tokenised texts kept on disk: equal to fresh ones, told apart by all that made them, rebuilt when damaged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mtlkit.config.architecture import Encoding
from mtlkit.data.cache import cache_folder, encode_cached, fingerprint
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenizer import TextEncoder, train_tokenizer

TEXTS = ["The otter sleeps near the barn.", "", "café <eos>", "A saw lies broken on the floor. " * 20]


class CountingEncoder(TextEncoder):
    """Counts how often texts are really tokenised."""

    calls = 0

    def encode(self, texts: Iterable[str]) -> Encoded:
        self.calls += 1
        return super().encode(texts)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tokens"


@pytest.fixture
def encoder(text_encoder: TextEncoder) -> CountingEncoder:
    return CountingEncoder(text_encoder.tokenizer, text_encoder.encoding)


def same(first: Encoded, second: Encoded) -> bool:
    return (
        np.array_equal(first.ids, second.ids)
        and np.array_equal(first.offsets, second.offsets)
        and first.truncated == second.truncated
        and first.ids.dtype == second.ids.dtype
    )


@pytest.mark.parametrize("whole", [False, True])
def test_cached_tokens_equal_fresh_ones(folder: Path, text_encoder: TextEncoder, whole: bool) -> None:
    fresh = text_encoder.stream(TEXTS) if whole else text_encoder.encode(TEXTS)
    for _ in range(2):
        assert same(encode_cached(TEXTS, text_encoder, whole=whole), fresh)
    assert len(list(folder.iterdir())) == 1


def test_no_texts_are_cached_too(folder: Path, encoder: CountingEncoder) -> None:
    for _ in range(2):
        assert len(encode_cached([], encoder)) == 0
    assert encoder.calls == 1


def test_texts_are_tokenised_once(folder: Path, encoder: CountingEncoder) -> None:
    first = encode_cached(TEXTS, encoder)
    second = encode_cached(list(TEXTS), encoder)
    assert encoder.calls == 1
    assert same(first, second)


def test_cache_is_keyed_by_texts_tokenizer_and_options(folder: Path, text_encoder: TextEncoder) -> None:
    tokenizer, encoding = text_encoder.tokenizer, text_encoder.encoding
    other = train_tokenizer(["quite another language"] * 20, 300)
    for texts, encoder, whole in (
        (TEXTS, text_encoder, False),
        (TEXTS, text_encoder, True),
        (TEXTS[::-1], text_encoder, False),
        (["".join(TEXTS)], text_encoder, False),
        (TEXTS, TextEncoder(other, encoding), False),
        (TEXTS, TextEncoder(tokenizer, replace(encoding, truncate="head")), False),
        (TEXTS, TextEncoder(tokenizer, replace(encoding, max_length=16)), False),
    ):
        before = len(list(folder.iterdir())) if folder.exists() else 0
        fresh = encoder.stream(texts) if whole else encoder.encode(texts)
        assert same(encode_cached(texts, encoder, whole=whole), fresh)
        assert len(list(folder.iterdir())) == before + 1


def test_fingerprint_knows_the_borders_of_texts() -> None:
    prints = {fingerprint(texts) for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [], ["c", "ab"])}
    assert len(prints) == 6


@pytest.mark.parametrize("damage", ["empty", "half", "last byte", "text", "other tensors"])
def test_damaged_cache_file_is_rebuilt(folder: Path, encoder: CountingEncoder, damage: str) -> None:
    fresh = encode_cached(TEXTS, encoder)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    nothing = b'{"else":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
    bad = {
        "empty": b"",
        "half": good[: len(good) // 2],
        "last byte": good[:-1],
        "text": b"<html>not a cache</html>" * 10,
        "other tensors": len(nothing).to_bytes(8, "little") + nothing,
    }[damage]
    path.write_bytes(bad)
    assert same(encode_cached(TEXTS, encoder), fresh)
    assert encoder.calls == 2
    assert path.read_bytes() == good


def test_flipped_bit_anywhere_in_a_cache_file_is_noticed(folder: Path, text_encoder: TextEncoder) -> None:
    fresh = encode_cached(TEXTS, text_encoder)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 16]) + good[place + 1 :])
        assert same(encode_cached(TEXTS, text_encoder), fresh), place
        for stray in set(folder.iterdir()) - {path}:
            stray.unlink()


def test_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: CountingEncoder
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path / "file"))
    assert same(encode_cached(TEXTS, encoder), encode_cached(TEXTS, encoder))
    assert encoder.calls == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_folder_in_the_place_of_a_cache_file_is_no_error(folder: Path, encoder: CountingEncoder) -> None:
    fresh = encode_cached(TEXTS, encoder)
    (path,) = folder.iterdir()
    path.unlink()
    path.mkdir()
    assert same(encode_cached(TEXTS, encoder), fresh)
    assert [entry.name for entry in folder.iterdir()] == [path.name]


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MTLKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "mtlkit"


def test_same_texts_under_another_length_are_not_mixed_up(folder: Path, text_encoder: TextEncoder) -> None:
    short = TextEncoder(text_encoder.tokenizer, Encoding(8))
    assert encode_cached(TEXTS, short).lengths.max() == 8
    assert encode_cached(TEXTS, text_encoder).lengths.max() == 32
    assert encode_cached(TEXTS, short).lengths.max() == 8
