"""Tokenised texts on disk, keyed by what they were made of, so that a text is tokenised once."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenizer import TextEncoder

FORMAT = "3"  # raised when what is stored changes


def cache_folder() -> Path:
    """Where caches lie: $MTLKIT_CACHE, else the system's place for them."""
    return Path(os.environ.get("MTLKIT_CACHE") or platformdirs.user_cache_path("mtlkit"))


def fingerprint(texts: Sequence[str]) -> str:
    """SHA-256 over texts and their borders."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def encode_cached(texts: Sequence[str], encoder: TextEncoder, *, whole: bool = False) -> Encoded:
    """`encoder.encode(texts)` (or `.stream(texts)` when `whole`), read from the cache where it was done before."""
    prompt = () if whole or not encoder.prompt else (encoder.prompt,)
    parts = (FORMAT, fingerprint(texts), encoder.tokenizer.to_str(), repr(encoder.encoding), str(whole), *prompt)
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    path = cache_folder() / "tokens" / f"{key[:32]}.safetensors"
    try:
        stored = load_file(path)
        truncated, checksum = stored["numbers"].tolist()
        encoded = Encoded(stored["ids"], stored["offsets"], truncated, 0 if whole else encoder.skip)
        if checksum == _checksum(encoded):
            return encoded
    except (OSError, SafetensorError, KeyError, ValueError):
        pass  # not there, or damaged: made anew
    encoded = encoder.stream(texts) if whole else encoder.encode(texts)
    numbers = np.array([encoded.truncated, _checksum(encoded)], np.int64)
    keep(path, {"ids": encoded.ids, "offsets": encoded.offsets, "numbers": numbers})
    return encoded


def _checksum(encoded: Encoded) -> int:
    start = zlib.crc32(f"{encoded.ids.dtype} {encoded.truncated}".encode())
    return zlib.crc32(encoded.offsets.data, zlib.crc32(encoded.ids.data, start))


def keep(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Written beside and renamed. A cache that cannot be written is no reason to stop."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            beside = Path(folder) / path.name
            save_file(dict(arrays), beside)
            beside.replace(path)
    except (OSError, SafetensorError):
        return
