"""Chooses the columns that hold the text and the label, and reads the text of a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.values import text_value
from mtlkit.data.sources.rows import BadRow, Row, place_of
from mtlkit.errors import DataError, listed, suggest

TEXT_NAMES = ("text", "sentence", "content", "review", "body", "document", "passage", "comment", "tweet", "question", "title")
LABEL_NAMES = ("label", "labels", "class", "category", "target", "topic", "sentiment", "rating", "stars", "score", "intent")
TOKEN_NAMES = ("tokens", "words")  # of columns with lists of words
TAG_NAMES = ("tags", "ner_tags", "pos_tags", "chunk_tags", "ner", "pos", "upos", "labels", "label")
SHOWN = 40  # columns to list in an error
LOOK_AHEAD, LOOK_AHEAD_LETTERS = 100, 1 << 20  # rows to inspect for columns, and the limit of their characters


@dataclass(frozen=True)
class Columns:
    """The chosen columns: texts to join, labels (several columns hold 0 or 1 each), unused ones, and remarks on the choice."""

    text: tuple[str, ...]
    label: tuple[str, ...]
    unused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def choose_columns(
    columns: Sequence[str], text: str | None, label: str | None, location: str, recorded: SourceRecord | None = None
) -> Columns:
    """The named columns (`title+body`), else the columns `recorded` by the model, else columns with a usual name.

    If only one column remains, it gets the remaining role. Raises DataError if a column is missing or the choice is ambiguous.
    """
    ask_text, ask_label = f"specify ?text=NAME{_for_words(columns)}", "specify ?label=NAME"
    known = recorded or SourceRecord("")
    texts = named_columns("text", columns, text, location)
    labels = named_columns("label", columns, label, location)
    remarks: tuple[str, ...] = ()
    if not texts:
        others = [name for name in columns if name not in (labels or known.label)]
        texts, remarks = recorded_texts(columns, others, [known.text] if known.text else [], location, ask_text)
    labels = labels or recorded_columns("label", columns, known.label, location, ask_label)
    if both := [name for name in texts if name in labels]:
        raise DataError(f"{location}: column '{both[0]}' is named both as text and as label; columns: {column_list(columns)}")
    texts = texts or usual_columns("text", TEXT_NAMES, [name for name in columns if name not in labels], location, ask_text)
    labels = labels or usual_columns("label", LABEL_NAMES, [name for name in columns if name not in texts], location, ask_label)
    rest = [name for name in columns if name not in texts and name not in labels]
    if not texts:
        texts = only_column("text", rest if labels else [], columns, location, ask_text)
    if not labels:
        labels = only_column("label", rest, columns, location, ask_label)
    return Columns(texts, labels, tuple(name for name in columns if name not in texts and name not in labels), remarks)


def _for_words(columns: Sequence[str]) -> str:
    """The keys for labels of words, as an alternative, if columns have usual names of words and tags."""
    words, tags = (next((name for name in columns if name.lower() in names), "") for names in (TOKEN_NAMES, TAG_NAMES))
    return f", or for labels of words ?tokens={words}&tags={tags}" if words and tags else ""


def text_columns(
    columns: Sequence[str],
    named: str | None,
    location: str,
    advice: str = "specify ?text=NAME",
    recorded: Iterable[SourceRecord] = (),
) -> Columns:
    """The text columns of data without labels: the named, recorded or usual ones, or the only column.

    `recorded` are the records of all tasks of a model; `advice` says how to name a column. Raises DataError.
    """
    known = list(dict.fromkeys(record.text for record in recorded if record.text))
    texts = named_columns("text", columns, named, location)
    remarks: tuple[str, ...] = ()
    if not texts:
        texts, remarks = recorded_texts(columns, columns, known, location, advice)
    texts = texts or usual_columns("text", TEXT_NAMES, columns, location, advice)
    rest = [name for name in columns if name.lower() not in LABEL_NAMES]
    texts = texts or only_column("text", rest, columns, location, advice)
    return Columns(texts, (), tuple(name for name in columns if name not in texts), remarks)


def recorded_texts(
    columns: Sequence[str], others: Sequence[str], known: Sequence[tuple[str, ...]], location: str, advice: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The text columns `known` by a model's tasks that exist in the data, and remarks on the choice.

    If a known column with a usual name is missing, it is replaced by the only one of `others` with a usual name, or the only one
    that is not a label; a missing column is also replaced by the only column. Raises DataError if the choice is ambiguous.
    """
    fitting = [texts for texts in known if set(texts) <= set(columns)]
    if len(fitting) > 1:
        choices = listed(("'" + "+".join(texts) + "'" for texts in fitting), SHOWN)
        raise DataError(
            f"{location}: the model's tasks read their texts from different columns, {choices}; {advice}; "
            f"columns: {column_list(columns)}"
        )
    if fitting or not known:
        return (fitting[0] if fitting else ()), ()
    missing = [texts[0] for texts in known if len(texts) == 1 and (len(columns) == 1 or texts[0].lower() in TEXT_NAMES)]
    usual = [name for name in others if name.lower() in TEXT_NAMES]
    replacements = usual or [name for name in others if name.lower() not in LABEL_NAMES]
    if len(replacements) != 1 or len(missing) < len(known):
        return recorded_columns("text", columns, known[0], location, advice), ()
    subject = f"column {missing[0]!r}" if len(known) == 1 else f"columns {listed(map(repr, missing))}"
    return (replacements[0],), (f"{subject} of the model's data not found in {location}; using '{replacements[0]}'",)


def recorded_columns(role: str, columns: Sequence[str], recorded: tuple[str, ...], location: str, advice: str) -> tuple[str, ...]:
    """The columns that a model reads. Raises DataError if one is missing."""
    for name in recorded:
        if name not in columns:
            raise DataError(
                f"column '{name}' not found in {location}; the model reads its {role} from '{'+'.join(recorded)}'; "
                f"columns: {column_list(columns)}; {advice} to read another one"
            )
    return recorded


def split_names(text: str, columns: Sequence[str], location: str) -> tuple[str, ...]:
    """Splits `title+body` into columns, unless a column has this name. Raises DataError for a missing column."""
    parts = text.split("+")
    names: list[str] = []
    while parts:
        for count in range(len(parts), 0, -1):
            if (name := "+".join(parts[:count])) in columns:
                break
        names.append(existing_column(name, columns, location))
        parts = parts[count:]
    return tuple(names)


def named_columns(role: str, columns: Sequence[str], named: str | None, location: str) -> tuple[str, ...]:
    """The columns that the user named, if any. Raises DataError if one is missing, or a label column is repeated."""
    if named is None:
        return ()
    names = split_names(named, columns, location)
    if role != "text" and len(set(names)) < len(names):
        raise DataError(f"{location}: column '{next(name for name in names if names.count(name) > 1)}' is repeated in '{named}'")
    return names


def usual_columns(role: str, names: Iterable[str], columns: Sequence[str], location: str, advice: str) -> tuple[str, ...]:
    """The column with one of these names, if any. Raises DataError if there are several."""
    usual = set(names)
    matching = [column for column in columns if column.lower() in usual]
    if len(matching) > 1:
        join = f", or join several with '+', such as {'+'.join(matching[:2])}" if role == "text" else ""
        raise DataError(f"{location}: columns {listed(map(repr, matching), SHOWN)} could each be the {role}; {advice}{join}")
    return tuple(matching)


def only_column(role: str, rest: Sequence[str], columns: Sequence[str], location: str, advice: str) -> tuple[str, ...]:
    """The only column that has no role yet. Raises DataError if there are none or several."""
    if len(rest) == 1:
        return (rest[0],)
    raise DataError(f"{location}: cannot tell which column is the {role}; columns: {column_list(columns)}; {advice}")


def existing_column(name: str, columns: Sequence[str], location: str) -> str:
    """The name, if there is such a column. Raises DataError that suggests the nearest one."""
    if name not in columns:
        raise DataError(f"column '{name}' not found in {location}; columns: {column_list(columns)}{suggest(name, columns)}")
    return name


def column_list(columns: Iterable[str]) -> str:
    """Columns as listed in an error; empty names and names with outer spaces are quoted."""
    return listed((name if name and name == name.strip() else repr(name) for name in columns), SHOWN)


def join_text(row: Row, columns: Sequence[str], source: str, number: int) -> str | BadRow:
    """The text of row `number` of a source, its columns joined by spaces; a BadRow if a column has no text."""
    if len(columns) == 1 and type(text := row.get(columns[0])) is str:
        return text
    texts: list[str] = []
    for column in columns:
        try:
            text = text_value(row.get(column), column)
        except ValueError as error:
            return BadRow(f"{place_of(row, source, number)}: column '{column}' holds {error}")
        if text is None:
            return BadRow(f"{place_of(row, source, number)}: no text in column '{'+'.join(columns)}'")
        texts.append(text)
    return " ".join(texts)


def with_columns(rows: Iterable[Row | BadRow]) -> tuple[list[str], Iterator[Row | BadRow]]:
    """The columns of the first rows, which may differ between rows, and an iterator over all rows.

    There are no columns if all first rows are bad.
    """
    columns: dict[str, None] = {}
    first: list[Row | BadRow] = []
    stream, letters = iter(rows), 0
    for row in islice(stream, LOOK_AHEAD):
        first.append(row)
        if not isinstance(row, BadRow):
            columns.update(dict.fromkeys(row))
            letters += sum(len(value) for value in row.values() if isinstance(value, (str, bytes)))
            if letters > LOOK_AHEAD_LETTERS:
                break
    return list(columns), chain(first, stream)


def numbered(rows: Iterable[Row | BadRow], choose: Callable[[list[str]], object]) -> Iterator[tuple[int, Row | BadRow]]:
    """Rows with their numbers, from 1. `choose` gets the columns once: before all rows, or where the first rows are all bad,
    before the first good one."""
    columns, rows = with_columns(rows)
    if columns:
        choose(columns)
    for number, row in enumerate(rows, 1):
        if not columns and not isinstance(row, BadRow):
            columns = list(row)
            choose(columns)
        yield number, row
