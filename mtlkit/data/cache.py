"""Caches tokenized texts in the user's cache folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.progress import counting
from mtlkit.runs.store import TOKENS, Arrays, cache_key, has_shape, user_entry

FORMAT = "4"  # increment when the stored arrays change


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


def _is_valid(arrays: Arrays, count: int) -> bool:
    """Whether the arrays are the tokens of `count` texts."""
    ids, offsets = arrays.get("ids"), arrays.get("offsets")
    if ids is None or offsets is None or ids.dtype.kind != "u" or ids.ndim != 1 or not has_shape(offsets, "<i8", count + 1):
        return False
    if not has_shape(arrays.get("truncated"), "<i8", 1) or offsets[0] != 0 or offsets[-1] != len(ids):
        return False
    return bool((np.diff(offsets) >= 0).all())
