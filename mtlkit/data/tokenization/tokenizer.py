"""Trains byte-level BPE tokenizers, and encodes texts as flat token arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from mtlkit.config.architecture import Encoding
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.checks import blank_token, check_tokenizer, read_ends, unknown_word
from mtlkit.data.tokenization.files import bare, library_errors, load_tokenizer, located, read_literally
from mtlkit.data.tokenization.long_texts import LARGEST_PIECE, LongTexts, cut_ids
from mtlkit.errors import IntegrityError
from mtlkit.progress import count, counting

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
LETTERS_TO_LEARN = 50_000_000  # characters; BPE learns little from more text
LETTERS_AT_ONCE = 250_000  # characters per call of the tokenizer: enough for all cores, few enough for their caches
LETTERS_A_PIECE = 8192  # characters of a training text for BPE, whose time is quadratic in the longest word
LETTERS_A_TOKEN = 32  # more than normal tokens have; a text longer than twice this times its budget is tokenized in pieces
WHOLE = 4096  # characters; shorter texts are never split into pieces


def train_tokenizer(texts: Sequence[str], vocab_size: int, lowercase: bool = False) -> Tokenizer:
    """Trains a byte-level BPE tokenizer (Sennrich et al. 2016; Radford et al. 2019), which can encode any Unicode text.

    `lowercase` folds case and prepends a space to each text, so that a word has the same tokens in any position and more words
    fit into a small vocabulary.
    """
    tokenizer = Tokenizer(models.BPE())
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=lowercase)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=10,  # rarer tokens are not worth an embedding
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    with counting("training the tokenizer", "tokenized"):
        tokenizer.train_from_iterator(_pieces(_spread(texts)), trainer)
    ends = [(BOS, tokenizer.token_to_id(BOS)), (EOS, tokenizer.token_to_id(EOS))]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A {EOS}", special_tokens=ends)
    return bare(tokenizer)


def _spread(texts: Sequence[str]) -> Sequence[str]:
    """An evenly spaced sample of the texts with at most LETTERS_TO_LEARN characters."""
    total = sum(map(len, texts))
    return texts[:: max(1, math.ceil(total / LETTERS_TO_LEARN))]


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), LETTERS_A_PIECE):
            yield text[start : start + LETTERS_A_PIECE]


def open_encoder(path: Path, encoding: Encoding, vocab_size: int, vectors: VectorSettings | None = None) -> TextEncoder:
    """The tokenizer in a file for a model with `vocab_size` embeddings, with its default prompt. Raises IntegrityError that names
    the file."""
    return make_encoder(load_tokenizer(path), path, encoding, vocab_size, vectors)


def make_encoder(
    tokenizer: Tokenizer, path: Path, encoding: Encoding, vocab_size: int, vectors: VectorSettings | None = None
) -> TextEncoder:
    """`open_encoder` for a loaded tokenizer; `path` is its file, for messages."""
    with located(path):
        encoder = TextEncoder(tokenizer, encoding, vocab_size)
        encoder.path = path
        return encoder if vectors is None else encoder.with_prompt(vectors.prompt(), pooled=vectors.include_prompt)


class TextEncoder:
    """A tokenizer with a maximum length and a truncation side. The ids of a text do not depend on other texts in the call.

    `before` and `after` are the tokens that it adds to every text: BOS and EOS, one of them, or none; without any, a text without
    tokens is read as `blank`. `cut` counts the texts
    truncated so far. `prompt` is prepended to every text; its first `skip` tokens, including BOS, are excluded from pooling.
    `path` is the file of the tokenizer, for messages; `growth` the largest factor by which it lengthens a text before it splits
    it; `dtype` the type of ids.
    """

    def __init__(self, tokenizer: Tokenizer, encoding: Encoding, rows: int | None = None) -> None:
        """`rows` is the number of token embeddings of the model; None: as many as the tokenizer needs."""
        self.tokenizer = tokenizer
        self.encoding = encoding
        self.rows = rows
        self.cut = 0
        self.path: Path | None = None
        self.prompt, self.pools_prompt, self.skip = "", True, 0
        with library_errors("the tokenizer cannot be used"):
            self.growth = check_tokenizer(tokenizer)
            self.before, self.after = read_ends(tokenizer)
            self._unknown = unknown_word(tokenizer)
        self.blank = () if self.before or self.after else (blank_token(tokenizer),)
        self._largest = max([*tokenizer.get_vocab().values(), *self.before, *self.after])  # ids may have gaps
        self.dtype = np.uint16 if self._largest < 2**16 else np.uint32
        self.checked(np.array([*self.before, *self.after, *self.blank], self.dtype))

    @property
    def ends(self) -> int:
        """The number of tokens that are added to every text."""
        return len(self.before) + len(self.after)

    def inner(self, ids: list[int]) -> list[int]:
        """The tokens of a text without those that are added to it."""
        return ids[len(self.before) : len(ids) - len(self.after)]

    def name_of(self, token: int) -> str:
        """A token as text."""
        return str(self.tokenizer.id_to_token(token))

    def with_prompt(self, prompt: str, *, pooled: bool | None = None) -> TextEncoder:
        """A copy with another prompt, "" for none; `pooled` says whether its tokens take part in pooling (None: unchanged).

        Without `pooled`, the number of tokens to skip is that of the prompt alone without the tokens after it, as in
        sentence-transformers.
        """
        other = copy(self)
        other.cut, other.prompt, other.skip = 0, "", 0
        other.pools_prompt = self.pools_prompt if pooled is None else pooled
        if prompt and not other.pools_prompt:
            other.skip = len(copy(other).encode([prompt]).ids) - len(self.after)
        other.prompt = prompt
        return other

    def encode(self, texts: Iterable[str]) -> Encoded:
        """Encodes texts as flat ids, with the tokens that are added to each, at most `max_length` per text. Runs on all cores.

        Raises IntegrityError for a token without an embedding.
        """
        read_literally(self.tokenizer, self.encoding.literal_special_tokens)
        room, truncate = self.encoding.max_length - self.ends, self.encoding.truncate
        whole = max(WHOLE, 2 * room * LETTERS_A_TOKEN) / self.growth
        prompted = (self.prompt + text for text in texts) if self.prompt else texts
        largest = max(1, int(LARGEST_PIECE / self.growth))
        long_texts = LongTexts(lambda texts: list(map(self.inner, self._rows(texts))), self._unknown, largest)
        pieces: list[NDArray[np.unsignedinteger]] = []
        counts: list[int] = []
        truncated = 0
        for part in parts(prompted, LETTERS_AT_ONCE / self.growth):
            rows = self._rows([text if len(text) <= whole else "" for text in part])
            for index, text in enumerate(part):
                if len(text) > whole:
                    ids, cut = long_texts.truncated(text, room, truncate)
                    rows[index] = [*self.before, *ids, *self.after]
                    truncated += cut
                elif len(rows[index]) > self.encoding.max_length:
                    rows[index] = [*self.before, *cut_ids(self.inner(rows[index]), room, truncate), *self.after]
                    truncated += 1
            rows = [row or list(self.blank) for row in rows]
            counts += map(len, rows)
            pieces.append(self.checked(np.fromiter(chain.from_iterable(rows), self.dtype)))
            count("tokenized", len(part))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        flat = np.concatenate(pieces) if pieces else np.zeros(0, self.dtype)
        self.cut += truncated
        return Encoded(flat, offsets, truncated, self.skip)

    def stream(self, texts: Iterable[str]) -> Encoded:
        """Encodes texts without truncation, for the packed stream of pretraining."""
        return self.with_prompt("").with_encoding(max_length=2**62, truncate="head").encode(texts)

    def with_encoding(self, **changes: Any) -> TextEncoder:
        """A copy with other values of `Encoding`."""
        changed = copy(self)
        changed.encoding, changed.cut = replace(self.encoding, **changes), 0
        return changed.with_prompt(self.prompt)

    def with_literal(self, literal: bool | None) -> TextEncoder:
        """A copy that treats names of special tokens in texts as plain text or not; unchanged for None."""
        return self if literal is None else self.with_encoding(literal_special_tokens=literal)

    def _rows(self, texts: Sequence[str]) -> list[list[int]]:
        with library_errors("the tokenizer cannot be used"):
            return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(texts)]

    def checked(self, ids: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
        """The ids. Raises IntegrityError for a token without an embedding."""
        if self.rows is not None and self._largest >= self.rows and len(ids) and ids.max() >= self.rows:
            number = int(ids[ids >= self.rows][0])
            added = self.tokenizer.get_added_tokens_decoder().get(number)  # with its original spelling
            token = added.content if added is not None else self.tokenizer.id_to_token(number)
            raise IntegrityError(
                f"{f'{self.path}: ' if self.path else ''}token {token!r} has id {number:,}, but the model has embeddings for "
                f"{self.rows:,} tokens only; the tokenizer belongs to another model, or tokens were added to it without "
                "model.resize_token_embeddings(len(tokenizer)); save both again"
            )
        return ids


def parts(texts: Iterable[str], letters_at_once: float) -> Iterator[list[str]]:
    """Groups texts into lists of about this many characters."""
    part: list[str] = []
    letters = 0
    for text in texts:
        part.append(text)
        letters += len(text)
        if letters >= letters_at_once:
            yield part
            part, letters = [], 0
    if part:
        yield part
