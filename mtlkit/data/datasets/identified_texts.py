"""Texts with ids, such as queries and documents in the layout of BEIR.

They have the columns `_id` (or `id`) and `text`, documents perhaps a `title`, which is put before the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.labels.values import text_value
from mtlkit.data.sources import Source, StandardInput, existing_split, open_source
from mtlkit.data.sources.columns import column_list, join_text, numbered, text_columns
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.rows import BadRow, Row, SkippedRows, good_rows, place_of
from mtlkit.errors import DataError, UsageError, suggest

ID_NAMES = ("_id", "id")
ADVICE = "specify ?text=NAME"


class IdentifiedTexts:
    """The rows of a source as ids and texts; can be read several times. Raises UsageError, DataError."""

    def __init__(self, address: str, reading: ReadOptions) -> None:
        path, self.query = parse_source(address)
        self.source: Source = open_source(path, self.query)
        if isinstance(self.source, StandardInput):
            raise UsageError("--retrieval reads its files twice, so none can be standard input; save it to a file")
        self.split = existing_split(self.source, self.query.split)
        self.reading = reading

    def rows(self, reading: ReadOptions | None = None) -> Iterator[Row]:
        """{"id", "text", "place"} a row. Raises DataError, also if there are none."""
        reading = reading or self.reading
        rows = good_rows(self._rows(), reading.on_bad_row, reading.tally)
        empty = True
        for row in rows:
            empty = False
            yield row
        if empty:
            raise DataError(f"{self.source.name}: no rows; give a file with an id and a text in each row")

    def distinct_rows(self) -> Iterator[Row]:
        """The rows. Raises DataError for an id that is repeated."""
        seen: set[str] = set()
        for row in self.rows():
            if row["id"] in seen:
                raise DataError(f"{row['place']}: the id '{row['id']}' is repeated; give each row an id of its own")
            seen.add(row["id"])
            yield row

    def texts(self) -> Iterator[str]:
        """The texts once more, in the same order, without counting bad rows again."""
        return (row["text"] for row in self.rows(replace(self.reading, tally=SkippedRows())))

    def _rows(self) -> Iterator[Row | BadRow]:
        name = self.source.name
        identity, texts = "", tuple[str, ...]()

        def choose(columns: list[str]) -> None:
            nonlocal identity, texts
            identity, texts = self._choose(columns)

        rows = self.source.rows(self.split, self.query.encoding or self.reading.encoding)
        for number, row in numbered(rows, choose):
            if isinstance(row, BadRow):
                yield row
                continue
            place, key = place_of(row, name, number), id_value(row, identity)
            if key is None:
                yield BadRow(f"{place}: no id in column '{identity}'")
                continue
            if texts == ("title", "text") and not row.get("title"):  # a document without a title
                text = join_text(row, ["text"], name, number)
            else:
                text = join_text(row, texts, name, number)
            yield text if isinstance(text, BadRow) else {"id": key, "text": text.strip(), "place": place}

    def _choose(self, columns: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """The columns of the id and of the text."""
        identity = next((name for name in ID_NAMES if name in columns), None)
        if identity is None:
            near = suggest(ID_NAMES[0], columns)
            raise DataError(f"column '_id' not found in {self.source.name}; columns: {column_list(columns)}{near}")
        if self.query.text is None and "text" in columns:
            return identity, ("title", "text") if "title" in columns else ("text",)
        names = [name for name in columns if name != identity]
        return identity, text_columns(names, self.query.text, self.source.name, ADVICE).text


def id_value(row: Row, column: str) -> str | None:
    """An id or number as text; None if it is missing or blank."""
    try:
        value = text_value(row.get(column), column)
    except ValueError:
        return None
    return value.strip() or None if value is not None else None
