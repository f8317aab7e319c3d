"""The rows of a split as pairs of texts, with hard negatives or a score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.labels.values import label_value, shown
from mtlkit.data.quality.near_duplicates import folded
from mtlkit.data.sources import Source
from mtlkit.data.sources.columns import join_text, numbered
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.pair_columns import negative_columns, pair_columns, score_column
from mtlkit.data.sources.rows import BadRow, Row, place_of
from mtlkit.errors import DataError


class PairRows:
    """Reads the rows of a split as pairs; `record` describes how, once the first row has been read."""

    def __init__(self, source: Source, query: Query, split: str, reading: ReadOptions, scored: bool) -> None:
        self.source, self.query, self.split, self.reading, self.scored = source, query, split, reading, scored
        self.record = SourceRecord(source.name)

    def rows(self) -> Iterator[Row | BadRow]:
        """Yields {"first", "second", "negatives", "score", "place"} per row."""
        name = self.source.name
        rows = self.source.rows(self.split, self.query.encoding or self.reading.encoding)
        for number, row in numbered(rows, self._choose):
            if isinstance(row, BadRow):
                yield row
                continue
            record, score = self.record, next(iter(self.record.label), "")
            names = (record.first or "", record.second or "", *record.negatives)
            texts = [_text(row, column, name, number) for column in names]
            if isinstance(bad := next((text for text in texts if isinstance(text, BadRow)), None), BadRow):
                yield bad
            elif repeated := _repeated(names, texts):
                yield BadRow(f"{place_of(row, name, number)}: {repeated}")
            elif (value := _number(row.get(score)) if self.scored else 0.0) is None:
                location = place_of(row, name, number)
                yield BadRow(f"{location}: column '{score}' is not a finite number: {shown(row.get(score))}")
            else:
                location = place_of(row, name, number) if self.reading.keep_places else ""
                yield {"first": texts[0], "second": texts[1], "negatives": texts[2:], "score": value, "place": location}

    def _choose(self, columns: list[str]) -> None:
        query, name = self.query, self.source.name
        first, second = pair_columns(columns, query.first, query.second, name)
        score = score_column(columns, query.label, name) if self.scored else ""
        if self.scored and query.negatives is not None:
            raise DataError(f"{name}: scored pairs have no negatives; remove negatives={query.negatives}")
        negatives = () if self.scored else negative_columns(columns, (first, second), query.negatives, name)
        used = (first, second, *negatives, *([score] if score else []))
        self.record = replace(
            self.source.record(query.encoding or self.reading.encoding),
            first=first,
            second=second,
            negatives=negatives,
            label=(score,) if score else (),
            unused=tuple(column for column in columns if column not in used),
        )


def _repeated(columns: Sequence[str], texts: Sequence[str | BadRow]) -> str:
    """What is wrong with a negative that is a text of its pair; empty if there is none."""
    first, second, *negatives = (folded(text) for text in texts if isinstance(text, str))
    for column, text in zip(columns[2:], negatives, strict=True):
        if text in (first, second):
            other = columns[0] if text == first else columns[1]
            return f"column '{column}' has the same text as column '{other}'; a negative must differ"
    return ""


def _text(row: Row, column: str, name: str, number: int) -> str | BadRow:
    """One text of a row; a BadRow if it is blank, as blank texts would count as equal."""
    text = join_text(row, [column], name, number)
    blank = isinstance(text, str) and not text.strip()
    return BadRow(f"{place_of(row, name, number)}: no text in column '{column}'") if blank else text


def _number(value: object) -> float | None:
    try:
        number = float(label_value(value))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
