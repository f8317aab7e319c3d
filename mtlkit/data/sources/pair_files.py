"""Reads the pairs of texts of a source as a stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources import existing_split
from mtlkit.data.sources.columns import column_list, join_text, numbered
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.pair_columns import PairColumns, labelled_pair_columns
from mtlkit.data.sources.rows import BadRow, Row, place_of
from mtlkit.data.sources.text_files import open_input
from mtlkit.errors import DataError, NoRowsError, UsageError

ADVICE = "specify --pair FIRST,SECOND"


def read_pairs(
    input: str | Path, pair: str | None, encoding: str | None, recorded: Sequence[SourceRecord] = ()
) -> Iterator[tuple[str, str]]:
    """The pairs of a source, as `pairs_and_rows` gives them."""
    return (texts for texts, _ in pairs_and_rows(input, pair, encoding, recorded))


def pairs_and_rows(
    input: str | Path, pair: str | None, encoding: str | None, recorded: Sequence[SourceRecord] = ()
) -> Iterator[tuple[tuple[str, str], Row]]:
    """The pairs of a source, which may have keys, and the rows that they are in, in their order. `pair` names its two columns,
    joined with `,`; by default they are those that the tasks of a model read, `recorded`.

    Raises UsageError if `pair` names one column, DataError for a missing column or text, as each pair must keep its row number.
    """
    if pair is not None and "," not in pair:
        raise UsageError(f"--pair {pair} names one column of --input, and a pair has two; use --pair FIRST,SECOND")
    source, query = open_input(input, None, recorded)
    if pair is not None:
        query = replace(query, pair=pair, first=None, second=None)
    sides: PairColumns = ((), ())

    def choose(names: list[str]) -> None:
        nonlocal sides
        sides = choose_sides(names, query, source.name, recorded)

    number = 0
    rows = source.rows(existing_split(source, query.split), query.encoding or encoding)
    for number, row in numbered(rows, choose):
        if isinstance(row, BadRow):
            raise DataError(row.reason)
        texts = [join_text(row, columns, source.name, number) for columns in sides]
        for text, columns in zip(texts, sides, strict=True):
            if isinstance(text, BadRow):
                raise DataError(text.reason)
            if not text.strip():
                raise DataError(f"{place_of(row, source.name, number)}: no text in column '{'+'.join(columns)}'")
        yield (str(texts[0]), str(texts[1])), row
    if not number:
        raise NoRowsError(f"{source.name}: no rows; give a file with a header and rows")


def choose_sides(columns: Sequence[str], query: Query, location: str, recorded: Sequence[SourceRecord]) -> PairColumns:
    """The columns of each text: the named ones, else those that the tasks of a model read. Raises DataError."""
    known = {(record.first, record.second): record for record in recorded if record.first}
    if not any((query.pair, query.first, query.second)) and len(known) != 1:
        choices = " or ".join(f"{first},{second}" for first, second in known)
        why = f"the model's tasks read pairs from {choices}" if known else "cannot tell which columns are the pair"
        raise DataError(f"{location}: {why}; columns: {column_list(columns)}; {ADVICE}")
    return labelled_pair_columns(columns, query, location, next(iter(known.values()), None))
