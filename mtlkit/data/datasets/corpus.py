"""Reads texts without labels, for pretraining and for training a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from mtlkit.config.commands.pretrain import Dedup
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.held_out import SPLIT_SEED, separate_texts
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.quality.duplicates import find_duplicates
from mtlkit.data.sources import Source, existing_split, find_split, open_source
from mtlkit.data.sources.columns import Columns, join_text, numbered, text_columns
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.rows import BadRow, Row, SkippedRows, good_rows, place_of
from mtlkit.errors import DataError, listed
from mtlkit.progress import counted
from mtlkit.seeding import generator

HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 2000  # texts held out to measure perplexity

Records = dict[str, SourceRecord]  # by source


def read_texts(source: str, reading: ReadOptions, records: Records | None = None) -> Iterator[str]:
    """The non-blank training texts of one source. `records` is how other sources were read; one for this source is added."""
    address, query = parse_source(source)
    origin = open_source(address, query, list((records or {}).values()))
    texts = _texts(source, origin, existing_split(origin, query.split), query, reading, {} if records is None else records)
    return islice(texts, query.limit)


def read_text_splits(source: str, reading: ReadOptions, records: Records) -> dict[str, LabelledTable]:
    """All texts of a source by split (train, and validation and test if they exist), including blank ones, with empty labels.

    Raises DataError.
    """
    address, query = parse_source(source)
    origin = open_source(address, query)
    train = existing_split(origin, query.split)
    splits = {name: find_split(origin, name) for name in ("validation", "test")}
    tables = {}
    for name, split in {"train": train, **splits}.items():
        if split is None or (name != "train" and split == train):
            continue
        texts, places = [], []
        remaining = query.limit if name != "test" else None
        for row in _rows(source, origin, split, query, reading, records):
            if remaining == 0:
                break
            remaining = None if remaining is None else remaining - bool(row["text"].strip())
            texts.append(row["text"])
            places.append(row["place"])
        if not texts:
            raise DataError(f"{origin.name}: no texts in split '{split}'")
        tables[name] = LabelledTable(texts, [""] * len(texts), places if reading.keep_places else [])
    return tables


def _texts(source: str, origin: Source, split: str, query: Query, reading: ReadOptions, records: Records) -> Iterator[str]:
    for row in _rows(source, origin, split, query, reading, records):
        if row["text"].strip():
            yield row["text"]


def _rows(source: str, origin: Source, split: str, query: Query, reading: ReadOptions, records: Records) -> Iterator[Row]:
    """Yields {"text", "place"} per row, including blank texts."""
    columns = Columns((), ())
    encoding = query.encoding or reading.encoding

    def choose(names: list[str]) -> None:
        nonlocal columns
        columns = text_columns(names, query.text, origin.name, recorded=records.values())
        record = origin.record(encoding)
        remarks = (*record.remarks, *columns.remarks)
        records.setdefault(source, replace(record, source=source, text=columns.text, unused=columns.unused, remarks=remarks))

    def checked() -> Iterator[Row | BadRow]:
        for number, row in numbered(origin.rows(split, encoding), choose):
            if isinstance(row, BadRow):
                yield row
                continue
            text = join_text(row, columns.text, origin.name, number)
            location = place_of(row, origin.name, number) if reading.keep_places else ""
            yield text if isinstance(text, BadRow) else {"text": text, "place": location}

    yield from good_rows(counted(checked(), f"reading {origin.name}"), reading.on_bad_row, reading.tally)


def sample_passages() -> list[str]:
    """The training texts of the two bundled samples."""
    samples = ("sample:topic", "sample:sentiment")
    return [text for sample in samples for text in read_texts(sample, ReadOptions("utf-8", "error", SkippedRows()))]


@dataclass(frozen=True)
class Removed:
    """How many texts were left out as they repeat earlier ones, and their characters. `is_large`: there was too much text to look
    for near duplicates."""

    equal: int = 0
    near: int = 0
    letters: int = 0
    is_large: bool = False

    @property
    def texts(self) -> int:
        """How many in all."""
        return self.equal + self.near


@dataclass(frozen=True)
class SplitTexts:
    """Training and held-out texts, the sources whose own validation split was used, skipped rows, and how sources were read.
    `removed` is what was left out of all these texts."""

    train: list[str]
    held_out: list[str]
    own: tuple[str, ...]
    tally: SkippedRows
    records: Records = field(default_factory=dict)
    ends: tuple[int, ...] = ()  # of the training texts of each source
    removed: Removed = Removed()

    @property
    def origin(self) -> str:
        """Where held-out texts come from, for a message; empty if they were sampled from the training texts."""
        return f" (validation split of {listed(self.own)})" if self.own else ""


def read_corpus(sources: Sequence[str], reading: ReadOptions, seed: int, dedup: Dedup = "none") -> SplitTexts:
    """Reads the texts of several sources, in order, and holds some out.

    Held out are up to 2,000 texts of the validation split of each source that has one, and 5 % of the texts of all other sources
    together, sampled by `separate_texts`. Texts that repeat earlier ones, or those of a validation split, are left out before, as
    `dedup` says. Raises DataError if no text can be held out.
    """
    splits = []
    records: Records = {}
    for source in sources:
        own_records: Records = {}
        splits.append((list(read_texts(source, reading, own_records)), validation_texts(source, reading, own_records)))
        records.update(own_records)
    splits, removed = _without_duplicates(splits, dedup)
    own = tuple(source for source, (_, validation) in zip(sources, splits, strict=True) if validation is not None)
    free = [text for texts, validation in splits if validation is None for text in texts]
    compared = dedup == "near" and not removed.is_large
    try:
        marks = iter(sample_held_out(free, listed(sources), seed, optional=bool(own), compared=compared))
    except DataError as error:
        if removed.texts:
            raise DataError(f"{error}; {removed.texts:,} that repeat others were left out, and --dedup none keeps them") from None
        raise
    train: list[str] = []
    held_out: list[str] = []
    ends = []
    for texts, validation in splits:
        if validation is not None:
            train += texts
            held_out += validation
        else:
            for text, held in zip(texts, marks, strict=False):
                (held_out if held else train).append(text)
        ends.append(len(train))
    if not train:
        raise DataError(f"{listed(sources)}: no texts to train on")
    return SplitTexts(train, held_out, own, reading.tally, records, tuple(ends), removed)


Split = tuple[list[str], list[str] | None]  # the training texts of a source, and those of its validation split


def _without_duplicates(splits: Sequence[Split], dedup: Dedup) -> tuple[list[Split], Removed]:
    """The texts of sources without those for training that repeat others, and how many these are."""
    held_out = [text for _, validation in splits for text in validation or ()]
    texts = [text for train, _ in splits for text in train]
    found = find_duplicates([*held_out, *texts], dedup)
    repeats = found.any[len(held_out) :]
    marks = iter(repeats.tolist())
    kept: list[Split] = [([text for text in train if not next(marks)], validation) for train, validation in splits]
    letters = sum(len(text) for text, repeated in zip(texts, repeats, strict=True) if repeated)
    equal, near = (int(part[len(held_out) :].sum()) for part in (found.equal, found.near))
    return kept, Removed(equal, near, letters, found.is_large)


def validation_texts(source: str, reading: ReadOptions, records: Records | None = None) -> list[str] | None:
    """A random sample of up to 2,000 texts of a source's own validation split; None if it has none."""
    address, query = parse_source(source)
    origin = open_source(address, query)
    split = find_split(origin, "validation")
    if split is None or split == find_split(origin, query.split):
        return None
    texts = list(islice(_texts(source, origin, split, query, reading, {} if records is None else records), query.limit))
    if not texts:
        raise DataError(f"{origin.name}: no texts in split '{split}'")
    order = generator(SPLIT_SEED, "validation").permutation(len(texts))[:HELD_OUT_MOST]
    return [texts[index] for index in sorted(order.tolist())]


def sample_held_out(texts: Sequence[str], name: str, seed: int, *, optional: bool, compared: bool = False) -> list[bool]:
    """Marks the held-out texts of sources without a validation split. If `optional`, fewer than two texts are all kept for
    training, as other sources have a validation split. `compared`: near duplicates are not among them. Raises DataError."""
    return [False] * len(texts) if optional and len(texts) < 2 else hold_out_texts(texts, name, seed, compared=compared)


def hold_out_texts(texts: Sequence[str], name: str, seed: int, *, compared: bool = False) -> list[bool]:
    """Marks 5 % of the texts. `compared`: near duplicates are not among them. Raises DataError if there are fewer than two
    different texts."""
    if len(texts) < 2:
        count = "1 text" if len(texts) == 1 else f"{len(texts)} texts"
        raise DataError(f"{name}: {count}; at least two are needed, as one is held out")
    held = separate_texts(texts, HELD_OUT_SHARE, HELD_OUT_MOST, seed, "held-out", compared=compared)
    if not held.any():
        raise DataError(f"{name}: all {len(texts):,} texts are equal; two different ones are needed, as one is held out")
    marks: list[bool] = held.tolist()
    return marks
