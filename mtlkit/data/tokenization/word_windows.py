"""Windows of tokenized texts: long texts in parts that overlap, and the window in which each word is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.encoded import EncodedWords, ranges
from mtlkit.data.tokenization.tokenizer import TextEncoder

Numbers = NDArray[np.int64]
OVERLAP = 4  # a window shares at least this part, a quarter, of its tokens with the next


@dataclass(frozen=True)
class TokenizedTexts:
    """The tokens of N texts: ids (T,), the characters of each, as offsets (T, 2) in the text after the prompt, and where each
    text begins among the tokens, (N + 1,). The first `prompts` tokens of each text, (N,), belong to the prompt."""

    ids: NDArray[np.unsignedinteger]
    places: Numbers
    offsets: Numbers
    prompts: Numbers


@dataclass(frozen=True)
class FirstTokens:
    """The number of the first token of each word in its text without prompt, (W,), whether it has none of its own, and where each
    text begins among the words, (N + 1,)."""

    first: Numbers
    unread: NDArray[np.bool_]
    offsets: Numbers


def make_windows(tokens: TokenizedTexts, words: FirstTokens, encoder: TextEncoder) -> tuple[EncodedWords, Numbers]:
    """The windows of N texts, and the number of windows of each, (N,). All of a text have the same length, up to the maximum."""
    longest, before, after = encoder.encoding.max_length - encoder.ends, len(encoder.before), len(encoder.after)
    prompts = np.minimum(tokens.prompts, longest - 1)
    lengths, room = np.diff(tokens.offsets) - tokens.prompts, longest - prompts
    overlap = room // OVERLAP
    counts = np.where(lengths > room, -(-(lengths - overlap) // (room - overlap)), 1)
    text = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(text)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = number * np.maximum(lengths - room, 0)[text] // np.maximum(counts - 1, 1)[text]
    sizes = np.minimum(lengths, room)[text]
    firsts = tokens.offsets[:-1]
    body = ranges(firsts[text] + tokens.prompts[text] + starts, sizes)
    prefix = ranges(firsts[text], prompts[text])
    widths = np.maximum(encoder.ends + prompts[text] + sizes, len(encoder.blank))
    offsets = np.concatenate([[0], np.cumsum(widths)])
    ids = np.full(offsets[-1], next(iter(encoder.blank), 0), encoder.dtype)
    for place, token in enumerate(encoder.before):
        ids[offsets[:-1] + place] = token
    for place, token in enumerate(encoder.after, -after):
        ids[offsets[1:] + place] = token
    ids[ranges(offsets[:-1] + before, prompts[text])] = tokens.ids[prefix]
    ids[ranges(offsets[:-1] + before + prompts[text], sizes)] = tokens.ids[body]
    window = _window_of_words(words, counts, starts, sizes)
    places = offsets[window] + before + prompts[text[window]] + words.first - starts[window]
    read = np.concatenate([[0], np.cumsum(np.bincount(window, minlength=len(text)))])
    return EncodedWords(encoder.checked(ids), offsets, 0, encoder.skip, places, read), counts


def _window_of_words(words: FirstTokens, counts: Numbers, starts: Numbers, sizes: Numbers) -> Numbers:
    """The window in which each word is read, (W,). counts: windows of each text; starts, sizes: of all windows.

    A word is read in the later of two windows if it has more tokens before it there than after it in the earlier one.
    """
    firsts = np.cumsum(counts) - counts
    text = np.repeat(np.arange(len(counts)), np.diff(words.offsets))
    if len(starts) == len(counts):
        return text
    width = int(2 * (starts + sizes).max()) + 2
    middles = np.zeros(len(starts), np.int64)  # of the overlap with the window before, twice
    middles[1:] = starts[1:] + (starts + sizes)[:-1]
    middles[firsts] = 0
    middles += np.repeat(np.arange(len(counts)), counts) * width
    return np.searchsorted(middles, 2 * words.first + 1 + text * width, side="left") - 1
