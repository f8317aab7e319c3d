"""Tokenized texts cached on disk: equal to fresh ones, keyed by everything they depend on, rebuilt when damaged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from mtlkit.config.architecture import Encoding
from mtlkit.data.cache import encode_cached, fingerprint
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.runs.store import TOKENS, StoreEntry

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


def test_fingerprint_depends_on_the_boundaries_of_texts() -> None:
    prints = {fingerprint(texts) for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [], ["c", "ab"])}
    assert len(prints) == 6


def test_a_damaged_cache_file_is_named_and_tokens_are_those_of_a_fresh_one(
    folder: Path, encoder: CountingEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = encode_cached(TEXTS, encoder)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    at = good.index(fresh.ids.tobytes())
    for calls, bad in enumerate((b"", good[:-1], good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]), 2):
        path.write_bytes(bad)
        caplog.clear()
        assert same(encode_cached(TEXTS, encoder), fresh)
        assert encoder.calls == calls
        (warning,) = caplog.messages
        assert warning.startswith(f"{path} is ")
        assert path.read_bytes() == good


def test_the_store_of_an_earlier_version_is_left_alone(
    folder: Path, encoder: CountingEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = encode_cached(TEXTS, encoder)
    (path,) = folder.iterdir()
    before = {"ids": fresh.ids + 1, "offsets": fresh.offsets, "numbers": np.array([0, 5])}
    save_file(before, path)  # although it never has the same name
    assert same(encode_cached(TEXTS, encoder), fresh)
    assert "is not a cache file of this version" in caplog.text


def test_texts_that_were_cut_are_counted_whether_cached_or_not(folder: Path, encoder: CountingEncoder) -> None:
    encode_cached(TEXTS, encoder)
    assert encoder.cut == 1
    encode_cached(TEXTS, encoder)
    assert (encoder.cut, encoder.calls) == (2, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": np.array([0, 3, 1, 4, 40])},
        {"offsets": np.array([1, 2, 3, 4, 5])},
        {"offsets": np.array([0, 1, 2, 3])},
        {"ids": np.zeros(40, np.float32)},
        {"ids": np.zeros((40, 1), np.uint16)},
        {"truncated": np.array([0, 0])},
    ],
    ids=str,
)
def test_what_cannot_be_tokens_of_these_texts_is_not_used(
    folder: Path, encoder: CountingEncoder, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    fresh = encode_cached(TEXTS, encoder)
    (path,) = folder.iterdir()
    with safe_open(path, "np") as stored:
        file = StoreEntry(path, TOKENS, stored.metadata()["key"])
    file.write({"ids": np.zeros(40, np.uint16), "offsets": np.array([0, 1, 2, 4, 40]), "truncated": np.array([0]), **change})
    assert same(encode_cached(TEXTS, encoder), fresh)
    assert "unexpected content" in caplog.text


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


def test_same_texts_under_another_length_are_not_mixed_up(folder: Path, text_encoder: TextEncoder) -> None:
    short = TextEncoder(text_encoder.tokenizer, Encoding(8))
    assert encode_cached(TEXTS, short).lengths.max() == 8
    assert encode_cached(TEXTS, text_encoder).lengths.max() == 32
    assert encode_cached(TEXTS, short).lengths.max() == 8
