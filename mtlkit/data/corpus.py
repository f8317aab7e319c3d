"""Texts without labels: for pretraining and for training a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mtlkit.data.batching import generator
from mtlkit.data.columns import join_text, text_columns
from mtlkit.data.grammar import Query, parse_source
from mtlkit.data.readers import BadRow, OnBadRow, Tally, good_rows, place_of
from mtlkit.data.sources import existing_split, open_source
from mtlkit.data.tables import SPLIT_SEED, Reading
from mtlkit.errors import DataError, listed

HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 2000  # of all texts, for the perplexity on unseen text


def read_texts(source: str, encoding: str, on_bad_row: OnBadRow, tally: Tally) -> Iterator[str]:
    """The non-blank training texts of one source."""
    address, query = parse_source(source)
    for position, text in enumerate(_texts(address, query, encoding, on_bad_row, tally)):
        if query.limit is not None and position >= query.limit:
            return
        yield text


def _texts(address: str, query: Query, encoding: str, on_bad_row: OnBadRow, tally: Tally) -> Iterator[str]:
    origin = open_source(address, query)
    split = existing_split(origin, query.split)
    columns: list[str] | None = None

    def checked() -> Iterator[dict[str, str] | BadRow]:
        nonlocal columns
        for number, row in enumerate(origin.rows(split, query.encoding or encoding), 1):
            if isinstance(row, BadRow):
                yield row
                continue
            columns = columns or text_columns(list(row), query.text, origin.name)
            text = join_text(row, columns)
            bad = BadRow(f"{place_of(row, origin.name, number)}: no text in column '{'+'.join(columns)}'")
            yield {"text": text} if text is not None else bad

    for row in good_rows(checked(), on_bad_row, tally):
        if row["text"].strip():
            yield row["text"]


def sample_passages() -> list[str]:
    """The training texts of both samples inside the package."""
    samples = ("sample:topic", "sample:sentiment")
    return [text for sample in samples for text in read_texts(sample, "utf-8", "error", Tally())]


def read_corpus(sources: list[str], encoding: str, on_bad_row: OnBadRow, seed: int) -> tuple[list[str], list[str], Tally]:
    """Training texts, held-out texts, and the rows that were skipped.

    Every text has the same chance of being held out; the order of the rest is kept. Raises DataError when fewer than
    two texts are found.
    """
    tally = Tally()
    texts = [text for source in sources for text in read_texts(source, encoding, on_bad_row, tally)]
    return *hold_out_texts(texts, listed(sources), seed), tally


def read_train_and_held_out(source: str, reading: Reading) -> tuple[list[str], list[str]]:
    """The texts of a source and those held out of it, the same ones whatever the seed of a training. Raises DataError."""
    texts = list(read_texts(source, reading.encoding, reading.on_bad_row, reading.tally))
    return hold_out_texts(texts, source, SPLIT_SEED)


def hold_out_texts(texts: list[str], name: str, seed: int) -> tuple[list[str], list[str]]:
    if len(texts) < 2:
        raise DataError(f"{name}: {len(texts)} texts; two are needed at least, one of them held out")
    count = min(HELD_OUT_MOST, max(1, round(len(texts) * HELD_OUT_SHARE)))
    held = np.zeros(len(texts), bool)
    held[generator(seed, "held-out").permutation(len(texts))[:count]] = True
    train = [text for text, out in zip(texts, held, strict=True) if not out]
    return train, [text for text, out in zip(texts, held, strict=True) if out]
