"""Caches tokenized texts in the user's cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.encoded import Encoded, EncodedWords, first_of_texts
from mtlkit.data.tokenization.text_pairs import encode_pairs, number_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.data.tokenization.words import encode_words
from mtlkit.progress import counting
from mtlkit.runs.store import TOKENS, Arrays, cache_key, has_shape, user_entry

FORMAT, WORDS_FORMAT = "4", "words 2"  # increment when the stored arrays change


def fingerprint(texts: Sequence[str]) -> str:
    """SHA-256 of the texts and their lengths."""
    total = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()


def encode_cached(texts: Sequence[str], encoder: TextEncoder, *, whole: bool = False) -> Encoded:
    """`encoder.encode(texts)`, or `.stream(texts)` if `whole`, from the cache if possible."""
    prompt = "" if whole else encoder.prompt
    key = cache_key(FORMAT, fingerprint(texts), encoder.tokenizer.to_str(), repr(encoder.encoding), str(whole), prompt)

    def tokenize() -> Arrays:
        with counting("tokenizing", "tokenized", len(texts)):
            encoded = encoder.stream(texts) if whole else encoder.encode(texts)
        return {"ids": encoded.ids, "offsets": encoded.offsets, "truncated": np.array([encoded.truncated], np.int64)}

    stored = user_entry(TOKENS, key).get(tokenize, lambda arrays: _is_valid(arrays, len(texts)))
    arrays, truncated = stored.arrays, int(stored.arrays["truncated"][0])
    if stored.reused:
        encoder.cut += truncated  # `encode` counts them itself
    return Encoded(arrays["ids"], arrays["offsets"], truncated, 0 if whole else encoder.skip)


def encode_words_cached(texts: Sequence[str], words: Sequence[NDArray[np.int64]], encoder: TextEncoder) -> EncodedWords:
    """`encode_words` of texts and where their words are, (n, 2) each, from the cache if possible."""
    places = hashlib.sha256(np.array([len(own) for own in words], np.int64).tobytes())
    for own in words:
        places.update(np.ascontiguousarray(own, np.int64).tobytes())
    settings = encoder.tokenizer.to_str(), repr(encoder.encoding), encoder.prompt
    key = cache_key(WORDS_FORMAT, fingerprint(texts), places.hexdigest(), *settings)

    def tokenize() -> Arrays:
        with counting("tokenizing", "tokenized", len(texts)):
            encoded, _, unread = encode_words(texts, words, encoder)
        count = np.array([len(unread)], np.int64)
        return {"ids": encoded.ids, "offsets": encoded.offsets, "first": encoded.first, "words": encoded.words, "unread": count}

    count = sum(map(len, words))
    arrays = user_entry(TOKENS, key).get(tokenize, lambda arrays: _are_windows(arrays, count)).arrays
    return EncodedWords(
        arrays["ids"],
        arrays["offsets"],
        0,
        encoder.skip,
        arrays["first"],
        arrays["words"],
        begins=first_of_texts(words),
        unread=int(arrays["unread"][0]),
    )


def _are_windows(arrays: Arrays, count: int) -> bool:
    """Whether the arrays are windows that `count` words are read in."""
    ids, offsets, first, words = (arrays.get(name) for name in ("ids", "offsets", "first", "words"))
    if ids is None or offsets is None or words is None or ids.dtype.kind != "u" or ids.ndim != 1 or offsets.dtype != np.int64:
        return False
    if first is None or not has_shape(first, "<i8", count) or not has_shape(words, "<i8", len(offsets)):
        return False
    if not has_shape(arrays.get("unread"), "<i8", 1):
        return False
    return bool(offsets[-1] == len(ids) and words[-1] == count and (np.diff(offsets) >= 0).all() and (np.diff(words) >= 0).all())


def encode_pairs_cached(pairs: Sequence[tuple[str, str]], encoder: TextEncoder) -> Encoded:
    """`encode_pairs` of pairs of texts, from the cache if possible. Raises UsageError, IntegrityError."""
    texts = fingerprint([text for pair in pairs for text in pair])
    key = cache_key(FORMAT, texts, encoder.tokenizer.to_str(), repr(encoder.encoding), "pairs")

    def tokenize() -> Arrays:
        different, numbers = number_pairs(pairs)
        with counting("tokenizing", "tokenized", len(different)):
            encoded = encode_pairs(encoder, different, numbers)
        types = np.zeros(0, np.uint8) if encoded.types is None else encoded.types
        truncated = np.array([encoded.truncated], np.int64)
        return {"ids": encoded.ids, "offsets": encoded.offsets, "truncated": truncated, "types": types}

    stored = user_entry(TOKENS, key).get(tokenize, lambda arrays: _is_valid(arrays, len(pairs)) and _are_types(arrays))
    arrays, truncated = stored.arrays, int(stored.arrays["truncated"][0])
    if stored.reused:
        encoder.cut += truncated
    return Encoded(arrays["ids"], arrays["offsets"], truncated, types=arrays["types"] if len(arrays["types"]) else None)


def _are_types(arrays: Arrays) -> bool:
    """Whether there is a type of each token, or of none."""
    types = arrays.get("types")
    return types is not None and types.dtype == np.uint8 and types.shape in ((0,), arrays["ids"].shape)


def _is_valid(arrays: Arrays, count: int) -> bool:
    """Whether the arrays are the tokens of `count` texts."""
    ids, offsets = arrays.get("ids"), arrays.get("offsets")
    if ids is None or offsets is None or ids.dtype.kind != "u" or ids.ndim != 1 or not has_shape(offsets, "<i8", count + 1):
        return False
    if not has_shape(arrays.get("truncated"), "<i8", 1) or offsets[0] != 0 or offsets[-1] != len(ids):
        return False
    return bool((np.diff(offsets) >= 0).all())
