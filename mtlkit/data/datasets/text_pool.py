"""Texts that several tables share, so that they are tokenized once."""

from __future__ import annotations

from collections.abc import Sequence

from mtlkit.data.cache import encode_cached
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder


class TextPool:
    """The texts of all rows of a split. Tables that share them hold the same pool."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._encoded: tuple[TextEncoder, Encoded] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def encode(self, encoder: TextEncoder) -> Encoded:
        """The tokens of all texts: the same object for every table and the same encoder."""
        if self._encoded is None or self._encoded[0] is not encoder:
            self._encoded = encoder, encode_cached(self.texts, encoder)
        return self._encoded[1]
