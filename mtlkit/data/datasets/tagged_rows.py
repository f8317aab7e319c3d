"""The rows of a split as texts whose words have labels: lists of words and tags, CoNLL files, or texts with spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TagScheme
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled_rows import ReadOptions, place_of_row
from mtlkit.data.labels.marks import Label
from mtlkit.data.labels.tag_reading import read_tags
from mtlkit.data.labels.tag_schemes import OUTSIDE, tag_name
from mtlkit.data.labels.word_values import LabelledSpan, spans_value, tags_value, words_value
from mtlkit.data.sources import Source
from mtlkit.data.sources.columns import join_text, numbered
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.rows import BadRow, Row, place_of
from mtlkit.data.sources.tagged_columns import KIND, TaggedColumns, is_tagged, tagged_columns
from mtlkit.data.tokenization.word_splitting import split_words
from mtlkit.errors import counted, shorten

__all__ = ["TaggedRows", "TaggedText", "is_tagged"]

Words = NDArray[np.int64]


@dataclass(frozen=True)
class TaggedText:
    """A text, the character offsets of its words, (n, 2), and their tags. `split` counts the spans that begin or end within a
    word, which is split there, and `trimmed` those that begin or end with blanks."""

    text: str
    words: Words
    tags: tuple[str, ...]
    split: int = 0
    trimmed: int = 0


class TaggedRows:
    """Reads the rows of a split as texts with tags for their words, and says how. `labelled`: labels are read; else there are
    none."""

    def __init__(self, source: Source, query: Query, split: str, reading: ReadOptions, *, labelled: bool = True) -> None:
        self.source, self.query, self.split, self.reading, self.labelled = source, query, split, reading, labelled
        self.columns = TaggedColumns()
        self._split = self._trimmed = 0
        self._scheme: TagScheme | None = None
        self._remarks: list[str] = []

    def rows(self) -> Iterator[Row | BadRow]:
        """{"text", "words", "label", "place"} a row: the character offsets of the words, (n, 2), and their tags."""
        name = self.source.name
        rows = self.source.rows(self.split, self.query.encoding or self.reading.encoding)
        for number, row in numbered(rows, self._choose):
            tagged = row if isinstance(row, BadRow) else self._read(row, number)
            if isinstance(tagged, BadRow):
                yield tagged
                continue
            assert not isinstance(row, BadRow)
            self._split += tagged.split
            self._trimmed += tagged.trimmed
            place = place_of(row, name, number) if self.reading.keep_places else ""
            yield {"text": tagged.text, "words": tagged.words, "label": tagged.tags, "place": place}

    def _choose(self, columns: list[str]) -> None:
        recorded = self.reading.recorded
        self.columns = tagged_columns(columns, self.query, self.source.name, recorded, labelled=self.labelled)

    def _read(self, row: Row, number: int) -> TaggedText | BadRow:
        columns, place = self.columns, place_of(row, self.source.name, number)
        names = self.query.names or (recorded.names if (recorded := self.reading.recorded) else ())
        column = columns.tokens
        try:
            if columns.text is not None:
                text = join_text(row, (columns.text,), self.source.name, number)
                column = columns.spans
                if isinstance(text, BadRow):
                    return text
                spans = spans_value(row.get(column), text, names) if column is not None else []
                self._check_named([span.label for span in spans])
                tagged = text_with_spans(text, spans)
                return tagged if len(tagged.words) else BadRow(f"{place}: no words in column '{columns.text}'")
            words = words_value(row.get(column or ""))
            column = columns.tags
            tags = tags_value(row.get(column), names) if column is not None else ()
            self._check_named(tags)
        except ValueError as error:
            return BadRow(f"{place}: column '{column}' has {error}")
        if len(tags) != len(words) and column is not None:
            lists = f"{counted(len(words), 'word')} in column '{columns.tokens}' and {counted(len(tags), 'tag')} in '{column}'"
            return BadRow(f"{place}: {lists}; give each word a tag")
        return text_of_words(words, tags)

    def _check_named(self, tags: Sequence[str]) -> None:
        """Raises ValueError for a tag that the user does not list, if he lists any."""
        unnamed = next((tag for tag in tags if tag not in self.query.names), None) if self.query.names else None
        if unnamed is not None:
            raise ValueError(f"the tag '{shorten(unnamed, 40)}', which names= does not list; correct it, or add it to names=")

    def finish(self, labels: Sequence[Label]) -> list[Label]:
        """The tags of all texts as `read_tags` writes them, in the scheme of the model at hand if there is one. What was changed
        is added to the record."""
        rows = [label if isinstance(label, tuple) else () for label in labels]
        recorded = self.reading.recorded
        read = read_tags(rows, recorded.scheme if recorded else self.reading.scheme, self.query.scheme)
        self._scheme = read.scheme
        self._remarks += [f"{self.source.name}: {remark}" for remark in read.remarks]
        if read.invalid is not None:
            place = place_of_row(self, read.invalid)
            self._remarks[-1] += f", as in {place}; read as seqeval reads them"
        if read.mixed is not None:
            place = place_of_row(self, read.mixed)
            self._remarks[-1] += (
                f", as in {place}; all are read as tags of words by themselves: correct them, or specify scheme=plain"
            )
        return list(read.tags)

    def record(self) -> SourceRecord:
        """How the rows were read, once they were."""
        columns, name = self.columns, self.source.name
        record = self.source.record(self.query.encoding or self.reading.encoding)
        remarks = [*record.remarks, *self._remarks]
        if self._split:
            where = f"{counted(self._split, 'span')} with an edge within a word"
            remarks.append(f"{name}: {where}; these are split there, but words of other texts only at punctuation")
        if self._trimmed:
            remarks.append(f"{name}: {counted(self._trimmed, 'span')} with a blank at an edge; read without it")
        return replace(
            record,
            text=() if columns.text is None else (columns.text,),
            tokens=columns.tokens,
            tags=columns.tags,
            spans=columns.spans,
            unused=columns.unused,
            kind=KIND,
            scheme=self._scheme,
            names=self.query.names or (self.reading.recorded.names if self.reading.recorded else ()),
            remarks=tuple(remarks),
        )


def text_of_words(words: Sequence[str], tags: tuple[str, ...]) -> TaggedText:
    """Words as a text, with blanks between them."""
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    ends = np.cumsum(lengths + 1) - 1
    return TaggedText(" ".join(words), np.stack([ends - lengths, ends], axis=1), tags)


def text_with_spans(text: str, spans: Sequence[LabelledSpan]) -> TaggedText:
    """A text with spans that do not overlap, in their order, as words with BIO tags. Words are split at the ends of spans."""
    words = split_words(text)
    inside = [(span, edge) for span in spans for edge in (span.start, span.end) if _is_inside(words, edge)]
    cuts = np.array(sorted({edge for _, edge in inside}), np.int64)
    starts, ends = (np.sort(np.concatenate([side, cuts])) for side in words.T)
    tags = [OUTSIDE] * len(starts)
    for start, end, label in spans:
        first, last = np.searchsorted(starts, [start, end])
        for word in range(first, last):
            tags[word] = tag_name("B" if word == first else "I", label)
    blank = sum(text[span.start].isspace() or text[span.end - 1].isspace() for span in spans)
    return TaggedText(text, np.stack([starts, ends], axis=1), tuple(tags), len({span for span, _ in inside}), blank)


def _is_inside(words: Words, edge: int) -> bool:
    """Whether a character is in a word, and not its first one."""
    word = int(np.searchsorted(words[:, 0], edge, side="left")) - 1
    return word >= 0 and edge < words[word, 1]
