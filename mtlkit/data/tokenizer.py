"""Byte-level BPE: training it, and turning texts into flat token arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from mtlkit.batch import Batch
from mtlkit.config.architecture import Encoding
from mtlkit.config.small_files import read_file
from mtlkit.errors import IntegrityError
from mtlkit.runs import diagnose

LARGEST = 2**28  # bytes of a tokenizer.json; those of a quarter of a million tokens have 20 to 40 MB
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
LETTERS_TO_LEARN = 50_000_000  # BPE learns little from more text than this
LETTERS_AT_ONCE = 250_000  # handed to the tokenizer together: enough for all cores, little enough for their caches
LETTERS_A_PIECE = 8192  # of a text that BPE learns from: its time grows with the square of the longest word
LETTERS_A_TOKEN = 32  # more than any token of real text holds; what lies beyond a budget of these is never looked at


def train_tokenizer(texts: Sequence[str], vocab_size: int, lowercase: bool = False) -> Tokenizer:
    """A byte-level BPE (Sennrich et al. 2016; Radford et al. 2019): any Unicode survives it.

    With `lowercase` case is folded and a text begins as if a space stood before it, so that a word is the same token wherever
    it stands: more words fit into a small vocabulary.
    """
    tokenizer = Tokenizer(models.BPE())
    if lowercase:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=lowercase)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=10,  # a piece that is hardly ever seen teaches nothing
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_pieces(_spread(texts)), trainer)
    ends = [(BOS, tokenizer.token_to_id(BOS)), (EOS, tokenizer.token_to_id(EOS))]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A {EOS}", special_tokens=ends)
    return _literal(tokenizer)


def _spread(texts: Sequence[str]) -> Sequence[str]:
    """Texts spread evenly over all of them, up to a bound on their length."""
    total = sum(map(len, texts))
    return texts[:: max(1, math.ceil(total / LETTERS_TO_LEARN))]


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), LETTERS_A_PIECE):
            yield text[start : start + LETTERS_A_PIECE]


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a run. Raises IntegrityError when the file is not one."""
    try:
        with _refused(f"{path}: not a tokenizer"):
            return _literal(Tokenizer.from_buffer(read_file(path, LARGEST)))
    except IntegrityError:
        if found := diagnose(path):
            raise IntegrityError(f"{path}: {found}") from None
        raise


def open_encoder(path: Path, encoding: Encoding, vocab_size: int) -> TextEncoder:
    """The tokenizer of a model that knows `vocab_size` tokens. Raises IntegrityError when it is none, or that of another."""
    encoder = TextEncoder(load_tokenizer(path), encoding)
    largest = max(*encoder.tokenizer.get_vocab().values(), encoder.bos, encoder.eos)
    if largest >= vocab_size:
        raise IntegrityError(f"{path}: has a token {largest}, and the model knows {vocab_size:,}; it is that of another model")
    return encoder


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """What the library raises for a file that it cannot use: bare Exception, and where it is written in Rust and did not
    foresee it, a PanicException, which is no Exception and bears no public name. Raises IntegrityError."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise IntegrityError(f"{what} ({error})") from None


def _literal(tokenizer: Tokenizer) -> Tokenizer:
    """Text in, its tokens out: a text that spells out "<eos>" is that text, not the end of it; nothing is cut or padded."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()  # both are stored in the file of many a foreign model; here TextEncoder cuts, and nothing pads
    tokenizer.no_truncation()
    return tokenizer


@dataclass(frozen=True)
class Encoded:
    """Texts as tokens: one flat array, and where each text begins and ends.

    ids (T,) unsigned; offsets (N + 1,); truncated: how many texts were cut.
    """

    ids: NDArray[np.unsignedinteger]
    offsets: NDArray[np.int64]
    truncated: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def batch(self, rows: Sequence[int] | NDArray[np.int64]) -> Batch:
        """The texts of these rows, shortest first, as one flat batch."""
        rows = np.asarray(rows, dtype=np.int64)
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        order = np.argsort(lengths, kind="stable")
        rows, lengths = rows[order], lengths[order]
        return Batch.flat(self.ids[self.places(rows)], lengths.tolist(), rows)

    def padded(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The texts of these rows as a rectangle for other tools: ids with zeros to the right, and the mask of what is real."""
        lengths = self.lengths[rows]
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = self.ids[self.places(rows)]
        return ids, mask.astype(np.int64)

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where among all tokens those of these rows stand, one row after another: a place in the result, moved to where its
        row begins, is its place here."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        ends = np.cumsum(lengths)
        places: NDArray[np.int64] = np.arange(ends[-1]) + np.repeat(self.offsets[rows] - ends + lengths, lengths)
        return places

    def between(self, start: int, stop: int) -> Encoded:
        """The texts from row `start` up to `stop`."""
        offsets = self.offsets[start : stop + 1]
        return Encoded(self.ids[offsets[0] : offsets[-1]], offsets - offsets[0])


class TextEncoder:
    """A tokenizer with a length and a way to cut. The same text gives the same ids, alone or among others.

    `cut` counts the texts so far that did not fit."""

    def __init__(self, tokenizer: Tokenizer, encoding: Encoding) -> None:
        self.tokenizer = tokenizer
        self.encoding = encoding
        self.cut = 0
        with _refused("the tokenizer cannot be used"):
            ends = tokenizer.encode("").ids  # ours, and BERT's and its kin's, put one token before every text and one after
        if len(ends) != 2:
            raise IntegrityError(f"the tokenizer puts {len(ends)} tokens around a text in place of a first and a last one")
        self.bos, self.eos = ends
        self._dtype = np.uint16 if tokenizer.get_vocab_size() <= 2**16 else np.uint32

    def encode(self, texts: Iterable[str]) -> Encoded:
        """Texts -> flat ids with BOS and EOS, at most `max_length` a text. Runs on all cores."""
        most = self.encoding.max_length
        longest = 2 * (most - 2) * LETTERS_A_TOKEN  # a longer text is cut before it is tokenised
        pieces: list[NDArray[np.unsignedinteger]] = []
        counts: list[int] = []
        truncated = 0
        for part in _parts(texts):
            kept = [text if len(text) <= longest else self._slice(text) for text in part]
            with _refused("the tokenizer cannot be used"):
                rows = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(kept)]
            for place, row in enumerate(rows):
                if len(row) > most:
                    rows[place] = self._cut(row)
                    truncated += 1
                elif len(part[place]) > longest:
                    truncated += 1
            counts += map(len, rows)
            pieces.append(np.fromiter(chain.from_iterable(rows), self._dtype))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        flat = np.concatenate(pieces) if pieces else np.zeros(0, self._dtype)
        self.cut += truncated
        return Encoded(flat, offsets, truncated)

    def stream(self, texts: Iterable[str]) -> Encoded:
        """Whole texts, uncut, for pretraining's packed stream."""
        return TextEncoder(self.tokenizer, Encoding(max_length=2**62, truncate="head")).encode(texts)

    def _slice(self, text: str) -> str:
        """What of a text of megabytes is tokenised at all, so that its time and memory are bounded."""
        letters = (self.encoding.max_length - 2) * LETTERS_A_TOKEN
        match self.encoding.truncate:
            case "head":
                return text[:letters]
            case "tail":
                return text[-letters:]
            case "head-tail":
                return text[:letters] + text[-letters:]

    def _cut(self, row: list[int]) -> list[int]:
        """A row between its first and last token, cut to `max_length` with both."""
        room = self.encoding.max_length - 2
        match self.encoding.truncate:
            case "head":
                return [*row[: room + 1], self.eos]
            case "tail":
                return [self.bos, *row[len(row) - 1 - room :]]
            case "head-tail":  # a quarter from the start, the rest from the end, as Sun et al. 2019 found best
                head = room // 4
                return [*row[: head + 1], *row[len(row) - 1 - (room - head) :]]


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in lists of about LETTERS_AT_ONCE letters."""
    part: list[str] = []
    letters = 0
    for text in texts:
        part.append(text)
        letters += len(text)
        if letters >= LETTERS_AT_ONCE:
            yield part
            part, letters = [], 0
    if part:
        yield part
