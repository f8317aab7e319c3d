"""Texts without labels: for pretraining and for training a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import generator
from mtlkit.data.columns import join_text, text_columns, with_columns
from mtlkit.data.grammar import parse_source
from mtlkit.data.held_out import SPLIT_SEED
from mtlkit.data.labelled_rows import Reading
from mtlkit.data.readers import BadRow, OnBadRow, Tally, good_rows
from mtlkit.data.sources import existing_split, open_source
from mtlkit.errors import DataError, listed

HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 2000  # of all texts, for the perplexity on unseen text


def read_texts(
    source: str, encoding: str, on_bad_row: OnBadRow, tally: Tally, records: dict[str, SourceRecord] | None = None
) -> Iterator[str]:
    """The non-blank training texts of one source; `records` says how it was read, and gets an entry where it has none."""
    texts = _texts(source, encoding, on_bad_row, tally, {} if records is None else records)
    yield from islice(texts, parse_source(source)[1].limit)


def _texts(source: str, encoding: str, on_bad_row: OnBadRow, tally: Tally, records: dict[str, SourceRecord]) -> Iterator[str]:
    address, query = parse_source(source)
    origin = open_source(address, query)
    split = existing_split(origin, query.split)
    columns: list[str] = []

    def checked() -> Iterator[dict[str, str] | BadRow]:
        nonlocal columns
        names, rows = with_columns(origin.rows(split, query.encoding or encoding))
        for number, row in enumerate(rows, 1):
            if isinstance(row, BadRow):
                yield row
                continue
            if not columns:
                names = names or list(row)
                columns = text_columns(names, query.text, origin.name, recorded=records.values())
                unused = tuple(name for name in names if name not in columns)
                record = replace(origin.record(query.encoding or encoding), source=source, text=tuple(columns), unused=unused)
                records.setdefault(source, record)
            text = join_text(row, columns, origin.name, number)
            yield text if isinstance(text, BadRow) else {"text": text}

    for row in good_rows(checked(), on_bad_row, tally):
        if row["text"].strip():
            yield row["text"]


def sample_passages() -> list[str]:
    """The training texts of both samples inside the package."""
    samples = ("sample:topic", "sample:sentiment")
    return [text for sample in samples for text in read_texts(sample, "utf-8", "error", Tally())]


def read_corpus(
    sources: list[str], encoding: str, on_bad_row: OnBadRow, seed: int, records: dict[str, SourceRecord] | None = None
) -> tuple[list[str], list[str], Tally]:
    """Training texts, held-out texts, and the rows that were skipped; `records` gets how each source was read.

    Every text has the same chance of being held out; the order of the rest is kept. Raises DataError when fewer than
    two texts are found.
    """
    tally = Tally()
    texts: list[str] = []
    for source in sources:
        record: dict[str, SourceRecord] = {}
        texts += read_texts(source, encoding, on_bad_row, tally, record)
        if records is not None:
            records.update(record)
    return *hold_out_texts(texts, listed(sources), seed), tally


def read_train_and_held_out(
    source: str, reading: Reading, records: dict[str, SourceRecord] | None = None
) -> tuple[list[str], list[str]]:
    """The texts of a source and those held out of it, the same ones whatever the seed of a training. Raises DataError."""
    texts = list(read_texts(source, reading.encoding, reading.on_bad_row, reading.tally, records))
    return hold_out_texts(texts, source, SPLIT_SEED)


def hold_out_texts(texts: list[str], name: str, seed: int) -> tuple[list[str], list[str]]:
    if len(texts) < 2:
        raise DataError(f"{name}: {len(texts)} texts; two are needed at least, one of them held out")
    count = min(HELD_OUT_MOST, max(1, round(len(texts) * HELD_OUT_SHARE)))
    held = np.zeros(len(texts), bool)
    held[generator(seed, "held-out").permutation(len(texts))[:count]] = True
    train = [text for text, out in zip(texts, held, strict=True) if not out]
    return train, [text for text, out in zip(texts, held, strict=True) if out]
