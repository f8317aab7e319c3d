"""Tokenizes texts whose words are known, and finds the first token of each word. Long texts become windows with overlap.

A token here is one of the text itself, without BOS, EOS and the prompt.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.encoded import EncodedWords
from mtlkit.data.tokenization.files import library_errors, read_literally
from mtlkit.data.tokenization.long_texts import LARGEST_PIECE
from mtlkit.data.tokenization.tokenizer import LETTERS_AT_ONCE, TextEncoder, parts
from mtlkit.data.tokenization.word_windows import FirstTokens, TokenizedTexts, make_windows
from mtlkit.progress import count

Numbers = NDArray[np.int64]
BLANK = re.compile(r"(?<=\S)\s")


class EncodedTexts(NamedTuple):
    """The windows of N texts, the number of windows of each text, (N,), and the numbers of words without a token of their own,
    such as control characters: these are read at the token before them."""

    encoded: EncodedWords
    windows: Numbers
    unread: Numbers


def encode_words(texts: Sequence[str], words: Sequence[Numbers], encoder: TextEncoder) -> EncodedTexts:
    """Tokenizes N texts as `encoder` does, but without truncation. words: character offsets of the words of each text, (n, 2), in
    their order and without overlap.

    A token of nothing but the blank before a word is part of the word, as in transformers. A text that is longer than the maximum
    length becomes windows that overlap, all with the prompt; each word is read in the one in which it has the most tokens on both
    sides. Raises IntegrityError for a token without an embedding.
    """
    read_literally(encoder.tokenizer, encoder.encoding.literal_special_tokens)
    encoded: list[EncodedWords] = []
    windows: list[Numbers] = []
    unread: list[Numbers] = []
    done = total = 0
    for part in parts(texts, LETTERS_AT_ONCE / encoder.growth):
        tokens = _tokenize(part, encoder)
        found = _first_tokens(tokens, words[done : done + len(part)])
        own, counts = make_windows(tokens, found, encoder)
        encoded.append(own)
        windows.append(counts)
        unread.append(np.flatnonzero(found.unread) + total)
        done += len(part)
        total += len(found.first)
        count("tokenized", len(part))
    empty = np.zeros(0, np.int64)
    return EncodedTexts(_joined(encoded, encoder), np.concatenate([empty, *windows]), np.concatenate([empty, *unread]))


def _tokenize(texts: Sequence[str], encoder: TextEncoder) -> TokenizedTexts:
    prompt = len(encoder.prompt)
    largest = max(1, int(LARGEST_PIECE / encoder.growth))
    pieces = [list(_pieces(encoder.prompt + text, largest)) for text in texts]
    flat = [piece for own in pieces for piece, _ in own]
    groups = [_tokens(part, encoder) for part in parts(flat, LETTERS_AT_ONCE / encoder.growth)]
    ids, places, counts = (np.concatenate(arrays) for arrays in zip(*groups, strict=True))
    starts = np.array([start for own in pieces for _, start in own], np.int64) - prompt
    places = places + np.repeat(starts, counts)[:, None]
    ends = np.cumsum([0, *map(len, pieces)])
    offsets = np.concatenate([[0], np.cumsum(counts)])[ends]
    before = np.concatenate([[0], np.cumsum(places[:, 1] <= 0)]) if prompt else np.zeros(len(ids) + 1, np.int64)
    return TokenizedTexts(ids, places, offsets, before[offsets[1:]] - before[offsets[:-1]])


def _tokens(pieces: list[str], encoder: TextEncoder) -> tuple[NDArray[np.unsignedinteger], Numbers, Numbers]:
    """The tokens of pieces, (T,), the characters of each, (T, 2), and the number of tokens of each piece."""
    with library_errors("the tokenizer cannot be used"):
        encodings = encoder.tokenizer.encode_batch(pieces, add_special_tokens=False)
    counts = np.fromiter(map(len, encodings), np.int64, len(encodings))
    ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), encoder.dtype, int(counts.sum()))
    numbers = chain.from_iterable(chain.from_iterable(encoding.offsets for encoding in encodings))
    return ids, np.fromiter(numbers, np.int64, 2 * len(ids)).reshape(-1, 2), counts


def _first_tokens(tokens: TokenizedTexts, words: Sequence[Numbers]) -> FirstTokens:
    counts = np.array([len(spans) for spans in words], np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    spans = np.concatenate([np.zeros((0, 2), np.int64), *words])
    lengths = np.diff(tokens.offsets)
    largest = max(int(tokens.places.max(initial=0)), int(spans.max(initial=0))) + 1  # more than any offset in a text
    text_of_word, text_of_token = np.repeat(np.arange(len(counts)), counts), np.repeat(np.arange(len(counts)), lengths)
    ends = np.maximum.accumulate(np.maximum(tokens.places[:, 1], 0) + text_of_token * largest)
    token_starts = np.append(np.maximum(tokens.places[:, 0], 0) + text_of_token * largest, len(counts) * largest)
    starts, stops = (spans + (text_of_word * largest)[:, None]).T
    first = np.searchsorted(ends, starts, side="right")
    before = np.concatenate([[0], stops[:-1]])[: len(stops)]
    shared = (token_starts[first] < before) & (token_starts[np.minimum(first + 1, len(ends))] < stops)
    first = first + shared  # else two words would have one token
    unread = token_starts[first] >= stops
    last = np.maximum(first - 1, 0)
    first = first - (~unread & (np.append(ends, -1)[last] == starts) & (token_starts[last] >= before))  # a token of the blank
    begins = (tokens.offsets[:-1] + tokens.prompts)[text_of_word]
    return FirstTokens(np.maximum(first - unread - begins, 0), unread, offsets)


def _joined(parts: Sequence[EncodedWords], encoder: TextEncoder) -> EncodedWords:
    ids = np.concatenate([np.zeros(0, encoder.dtype), *(part.ids for part in parts)])
    tokens = np.cumsum([0, *(len(part.ids) for part in parts)])
    first = [part.first + start for part, start in zip(parts, tokens, strict=False)]
    offsets, words = [np.zeros(1, np.int64)], [np.zeros(1, np.int64)]
    for part in parts:
        offsets.append(part.offsets[1:] + offsets[-1][-1])
        words.append(part.words[1:] + words[-1][-1])
    empty = np.zeros(0, np.int64)
    return EncodedWords(ids, np.concatenate(offsets), 0, encoder.skip, np.concatenate([empty, *first]), np.concatenate(words))


def _pieces(text: str, largest: int) -> Iterator[tuple[str, int]]:
    """A text in pieces of at most `largest` characters, cut before blanks where possible, and where each begins."""
    start = 0
    while len(text) - start > largest:
        cut = next(iter(deque((match.start() for match in BLANK.finditer(text, start + largest // 2, start + largest)), 1)), None)
        stop = start + largest if cut is None else cut
        yield text[start:stop], start
        start = stop
    yield text[start:], start
