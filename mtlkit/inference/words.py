"""Tokenizes texts for heads that label words, and for those that read whole texts, so that the backbone runs once for both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.encoded import EncodedWords, first_of_texts
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.data.tokenization.words import encode_words


@dataclass(frozen=True)
class TextWithWords:
    """A text whose words are known: where each begins and ends in it, (n, 2)."""

    text: str
    words: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.text)


def encode_texts_with_words(
    texts: Sequence[str], words: Sequence[NDArray[np.int64]], encoder: TextEncoder, *, whole: bool
) -> EncodedWords:
    """The windows of N texts. `whole`: heads read the texts, too. A text of one window stands for itself; one of several is
    encoded once more, cut to the length of the model, as heads of texts read it."""
    encoded, counts, _ = encode_words(texts, words, encoder)
    encoded = replace(encoded, begins=first_of_texts(words))
    if not whole:
        return encoded
    rows = np.cumsum(counts) - counts
    long = np.flatnonzero(counts > 1)
    if not len(long):
        return replace(encoded, texts=rows)
    cut = encoder.encode([texts[index] for index in long.tolist()])
    rows[long] = len(encoded) + np.arange(len(long))
    without_words = EncodedWords(cut.ids, cut.offsets, cut.truncated, cut.skip, words=np.zeros(len(cut) + 1, np.int64))
    return replace(encoded.joined(without_words), texts=rows, begins=encoded.begins)
