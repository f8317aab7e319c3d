"""Chooses the tokens of a text that a model has to predict from the others (Devlin et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from mtlkit.config.commands.pretrain import MaskUnit
from mtlkit.errors import UsageError

MASKED, REPLACED = 0.8, 0.1  # of the chosen tokens: hidden, and replaced by a random one; the rest stays
MASKS = ("[MASK]", "<mask>")
PADS = ("<pad>", "[PAD]")  # where there is no mask token: no text has this one
SPAN_END, LONGEST_SPAN = 0.2, 10  # of spans of words: the probability of ending after each word (Joshi et al. 2020)
WORD_STARTS = ("Ġ", "▁")  # what begins the tokens that begin a word, with byte-level BPE and SentencePiece
CONTINUED = "##"  # what begins the other tokens, with WordPiece


@dataclass(frozen=True)
class Masking:
    """How tokens are masked: about the share `share` of those of text, one by one, by whole words, or by spans of words.

    mask       the id that hides a token
    ordinary   (K,) ids of tokens of text, from which random ones are drawn
    special    (V,) whether a token is not text
    continues  (V,) whether a token continues the word before it
    """

    mask: int
    ordinary: NDArray[np.int64]
    special: NDArray[np.bool_]
    continues: NDArray[np.bool_]
    share: float
    unit: MaskUnit

    def __call__(self, ids: NDArray[np.int64], random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The ids of T tokens with some masked, (T,), and the places of those, (M,), at least one, in ascending order."""
        is_text = ~self.special[ids]
        chosen = is_text & self._drawn(ids, is_text, random)
        if not chosen.any():
            chosen[random.choice(np.flatnonzero(is_text) if is_text.any() else len(ids))] = True
        places = np.flatnonzero(chosen)
        change, hidden = random.random(len(places)), ids.copy()
        hidden[places[change < MASKED]] = self.mask
        replaced = places[(change >= MASKED) & (change < MASKED + REPLACED)]
        hidden[replaced] = random.choice(self.ordinary, len(replaced))
        return hidden, places

    def _drawn(self, ids: NDArray[np.int64], is_text: NDArray[np.bool_], random: np.random.Generator) -> NDArray[np.bool_]:
        if self.unit == "tokens":
            return random.random(len(ids)) < self.share
        words = np.cumsum(~(self.continues[ids] & is_text))  # the number of each token's word
        drawn = np.zeros(words[-1] + 1, np.bool_)
        if self.unit == "words":
            drawn = random.random(len(drawn)) < self.share
            return drawn[words]
        starts = np.flatnonzero(random.random(len(drawn)) < span_rate(self.share))
        for start, length in zip(starts, np.minimum(random.geometric(SPAN_END, len(starts)), LONGEST_SPAN), strict=True):
            drawn[start : start + length] = True
        return drawn[words]


def span_rate(share: float) -> float:
    """How often a span has to begin at a word, so that spans cover this share of the words: a word stays uncovered if none of the
    words before it begins a span that reaches it."""
    reaching = (1 - SPAN_END) ** np.arange(LONGEST_SPAN)
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - np.prod(1 - middle * reaching) < share else (low, middle)
    return low


def masking_of(tokenizer: Tokenizer, rows: int, share: float, unit: MaskUnit) -> Masking:
    """The masking of texts of a tokenizer for a model with `rows` token embeddings. Raises UsageError if no token can hide
    others, or the tokenizer does not show where words begin."""
    vocabulary = {token: number for token, number in tokenizer.get_vocab().items() if number < rows}
    mask = next((vocabulary[token] for token in (*MASKS, *PADS) if token in vocabulary), None)
    if mask is None:
        raise UsageError("--objective mlm needs a tokenizer with a mask or padding token; use --objective clm")
    special, continues = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    special[[number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special and number < rows]] = True
    special[mask] = True
    marked = any(token.startswith(CONTINUED) for token in vocabulary)
    if unit != "tokens" and not marked and not any(token.startswith(WORD_STARTS) for token in vocabulary):
        raise UsageError(f"--mask {unit}: the tokenizer does not mark where words begin; use --mask tokens")
    for token, number in vocabulary.items():
        continues[number] = token.startswith(CONTINUED) if marked else not token.startswith(WORD_STARTS)
    continues[special] = False
    ordinary = np.array(sorted(number for number in vocabulary.values() if not special[number]), np.int64)
    return Masking(mask, ordinary, special, continues, share, unit)
