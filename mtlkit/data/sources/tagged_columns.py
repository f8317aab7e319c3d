"""Chooses the columns of texts whose words have labels: lists of words and of tags, or texts and lists of spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.conll import SUFFIXES, UNIVERSAL
from mtlkit.data.formats.files import split_suffix
from mtlkit.data.sources.base import FilesSource, Source
from mtlkit.data.sources.columns import (
    TAG_NAMES,
    TEXT_NAMES,
    TOKEN_NAMES,
    column_list,
    existing_column,
    only_column,
    usual_columns,
)
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.errors import DataError

KIND = "tokens"
SPAN_NAMES = ("spans", "entities", "label", "labels")
ASK_TOKENS, ASK_TAGS = "specify ?tokens=NAME&tags=NAME", "specify ?tags=NAME"
ASK_TEXT, ASK_SPANS = "specify ?text=NAME&spans=NAME", "specify ?spans=NAME"


@dataclass(frozen=True)
class TaggedColumns:
    """The chosen columns: of words and their tags, or of a text and its spans (each None if it is not read), and unused ones."""

    tokens: str | None = None
    tags: str | None = None
    text: str | None = None
    spans: str | None = None
    unused: tuple[str, ...] = ()


def is_tagged(source: Source, query: Query, recorded: SourceRecord | None) -> bool:
    """Whether the rows of a source are texts with labels for words: its keys or its format say so, or the model's data was."""
    if query.tokens or query.tags or query.spans or query.kind == KIND:
        return True
    if query.label or query.labels or query.pair or query.first or query.kind is not None:
        return False
    return (recorded is not None and recorded.kind == KIND) or _format(source, query) in SUFFIXES


def _format(source: Source, query: Query) -> str:
    """The suffix of the format of a source of files; "" for others."""
    if query.format or not isinstance(source, FilesSource):
        return f".{query.format}"
    return split_suffix(next(iter(source.grouped().all().values()))[0].file_name)[0]


def tagged_columns(
    columns: Sequence[str], query: Query, location: str, recorded: SourceRecord | None, *, labelled: bool = True
) -> TaggedColumns:
    """The columns that the query names, else those that a model reads if they exist, else those with usual names; of files with
    columns by number, the first and the last. `labelled`: labels are read. Raises DataError."""
    known = recorded or SourceRecord("")
    if query.spans or (known.spans and not query.tokens and not query.tags and set(known.text) <= set(columns)):
        chosen = _spans(columns, query, location, known, labelled)
    else:
        chosen = _tokens(columns, query, location, known, labelled)
    used = (chosen.tokens, chosen.tags, chosen.text, chosen.spans)
    if repeated := next((name for name in used if name is not None and used.count(name) > 1), None):
        roles = "the text and the spans" if chosen.text else "words and tags"
        raise DataError(f"{location}: column '{repeated}' is named for both {roles}; columns: {column_list(columns)}")
    return replace(chosen, unused=tuple(name for name in columns if name not in used))


def _tokens(columns: Sequence[str], query: Query, location: str, known: SourceRecord, labelled: bool) -> TaggedColumns:
    numbered = bool(columns) and all(name == str(number) for number, name in enumerate(columns, 1))
    tokens = _chosen(columns, query.tokens, known.tokens, location)
    if tokens is None and numbered:
        tokens = "1"
    if tokens is None and set(columns) >= set(UNIVERSAL):
        tokens = "form"
    if tokens is None:
        found = usual_columns("words", TOKEN_NAMES, columns, location, ASK_TOKENS)
        tokens = (found or only_column("words", [], columns, location, ASK_TOKENS))[0]
    if not labelled:
        return TaggedColumns(tokens)
    rest = [name for name in columns if name != tokens]
    tags = _chosen(columns, _by_number(query.tags, columns), known.tags, location)
    if tags is None and numbered and rest:
        tags = columns[-1]
    if tags is None and tokens == "form":
        tags = "upos"
    if tags is None:
        tags = (
            usual_columns("tags", TAG_NAMES, rest, location, ASK_TAGS) or only_column("tags", rest, columns, location, ASK_TAGS)
        )[0]
    return TaggedColumns(tokens, tags)


def _spans(columns: Sequence[str], query: Query, location: str, known: SourceRecord, labelled: bool) -> TaggedColumns:
    spans = _chosen(columns, query.spans, known.spans, location) if labelled else None
    rest = [name for name in columns if name != spans]
    text = _chosen(columns, query.text, next(iter(known.text), None), location)
    if text is None:
        found = usual_columns("text", TEXT_NAMES, rest, location, ASK_TEXT)
        text = (found or only_column("text", rest, columns, location, ASK_TEXT))[0]
    if labelled and spans is None:
        found = usual_columns("spans", SPAN_NAMES, rest, location, ASK_SPANS)
        spans = (found or only_column("spans", [], columns, location, ASK_SPANS))[0]
    return TaggedColumns(text=text, spans=spans)


def _chosen(columns: Sequence[str], named: str | None, recorded: str | None, location: str) -> str | None:
    """The column that is named, or recorded and there. Raises DataError if the named one is missing."""
    if named is not None:
        return existing_column(named, columns, location)
    return recorded if recorded in columns else None


def _by_number(name: str | None, columns: Sequence[str]) -> str | None:
    """The name of a column of CoNLL-U that is given by its number."""
    if name is not None and name.isdigit() and name not in columns and 0 < int(name) <= len(columns) == len(UNIVERSAL):
        return columns[int(name) - 1]
    return name
