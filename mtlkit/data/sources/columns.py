"""Which columns hold the text and the label, and the text of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.values import text_value
from mtlkit.data.sources.rows import BadRow, Row, place_of
from mtlkit.errors import DataError, listed, suggest

TEXT_NAMES = (
    "text",
    "sentence",
    "content",
    "review",
    "body",
    "document",
    "passage",
    "comment",
    "tweet",
    "question",
    "title",
)
LABEL_NAMES = (
    "label",
    "labels",
    "class",
    "category",
    "target",
    "topic",
    "sentiment",
    "rating",
    "stars",
    "score",
    "intent",
)
SHOWN = 40  # columns named in an error
LOOK_AHEAD, LOOK_AHEAD_LETTERS = 100, 1 << 20  # rows whose columns are those of the source, and letters in them


@dataclass(frozen=True)
class Columns:
    """The columns whose texts are joined, those of the label (several hold a mark each), those that are left out, and what to
    say of the choice."""

    text: tuple[str, ...]
    label: tuple[str, ...]
    unused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def choose_columns(
    columns: Sequence[str], text: str | None, label: str | None, place: str, recorded: SourceRecord | None = None
) -> Columns:
    """The columns that are named (`title+body`), else those `recorded` by the model, else those with a usual name.

    Where all columns but one have a role, that one has the other. Raises DataError where a column is missing, or where several
    choices make sense.
    """
    ask_text, ask_label = "specify ?text=NAME", "specify ?label=NAME"
    known = recorded or SourceRecord("")
    texts = named_columns("text", columns, text, place)
    labels = named_columns("label", columns, label, place)
    remarks: tuple[str, ...] = ()
    if not texts:
        others = [name for name in columns if name not in (labels or known.label)]
        texts, remarks = recorded_texts(columns, others, [known.text] if known.text else [], place, ask_text)
    labels = labels or recorded_columns("label", columns, known.label, place, ask_label)
    if both := [name for name in texts if name in labels]:
        raise DataError(f"{place}: column '{both[0]}' is named both as text and as label; columns: {column_list(columns)}")
    texts = texts or usual_columns("text", TEXT_NAMES, [name for name in columns if name not in labels], place, ask_text)
    labels = labels or usual_columns("label", LABEL_NAMES, [name for name in columns if name not in texts], place, ask_label)
    rest = [name for name in columns if name not in texts and name not in labels]
    if not texts:
        texts = only_column("text", rest if labels else [], columns, place, ask_text)
    if not labels:
        labels = only_column("label", rest, columns, place, ask_label)
    return Columns(texts, labels, tuple(name for name in columns if name not in texts and name not in labels), remarks)


def text_columns(
    columns: Sequence[str],
    asked: str | None,
    place: str,
    way: str = "specify ?text=NAME",
    recorded: Iterable[SourceRecord] = (),
) -> Columns:
    """The columns whose texts are joined, for texts without labels: those named, recorded, usual, or the only one.

    `recorded` are those of all tasks of a model; `way` tells how to name one. Raises DataError.
    """
    known = list(dict.fromkeys(record.text for record in recorded if record.text))
    texts = named_columns("text", columns, asked, place)
    remarks: tuple[str, ...] = ()
    if not texts:
        texts, remarks = recorded_texts(columns, columns, known, place, way)
    texts = texts or usual_columns("text", TEXT_NAMES, columns, place, way)
    rest = [name for name in columns if name.lower() not in LABEL_NAMES]
    texts = texts or only_column("text", rest, columns, place, way)
    return Columns(texts, (), tuple(name for name in columns if name not in texts), remarks)


def recorded_texts(
    columns: Sequence[str], others: Sequence[str], known: Sequence[tuple[str, ...]], place: str, way: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The text columns of a model that there are, out of those `known` by its tasks, and what to say of them.

    Where single columns with a usual name are missing, another one takes their place if a new source would be read from it: the
    only one of the `others` with a usual name, or that is no label. So does a lone column. Raises DataError where it is not
    clear which columns to take.
    """
    fitting = [texts for texts in known if set(texts) <= set(columns)]
    if len(fitting) > 1:
        choices = listed(("'" + "+".join(texts) + "'" for texts in fitting), SHOWN)
        raise DataError(
            f"{place}: the tasks of the model read their texts from {choices}; {way}; columns: {column_list(columns)}"
        )
    if fitting or not known:
        return (fitting[0] if fitting else ()), ()
    missing = [texts[0] for texts in known if len(texts) == 1 and (len(columns) == 1 or texts[0].lower() in TEXT_NAMES)]
    usual = [name for name in others if name.lower() in TEXT_NAMES]
    instead = usual or [name for name in others if name.lower() not in LABEL_NAMES]
    if len(instead) != 1 or len(missing) < len(known):
        return recorded_columns("text", columns, known[0], place, way), ()
    named = (
        f"column {missing[0]!r} of the model is" if len(known) == 1 else f"columns {listed(map(repr, missing))} of the model are"
    )
    return (instead[0],), (f"{named} not in {place}; using '{instead[0]}'",)


def recorded_columns(role: str, columns: Sequence[str], recorded: tuple[str, ...], place: str, way: str) -> tuple[str, ...]:
    """The columns that a model reads. Raises DataError where one is missing."""
    for name in recorded:
        if name not in columns:
            raise DataError(
                f"column '{name}' not found in {place}, and the model reads its {role} from '{'+'.join(recorded)}'; "
                f"columns: {column_list(columns)}; {way} to read another one"
            )
    return recorded


def split_names(asked: str, columns: Sequence[str], place: str) -> tuple[str, ...]:
    """`title+body` as columns; a column whose name has a plus wins over two. Raises DataError for one that is missing."""
    parts = asked.split("+")
    names: list[str] = []
    while parts:
        for count in range(len(parts), 0, -1):
            if (name := "+".join(parts[:count])) in columns:
                break
        names.append(existing_column(name, columns, place))
        parts = parts[count:]
    return tuple(names)


def named_columns(role: str, columns: Sequence[str], asked: str | None, place: str) -> tuple[str, ...]:
    """The columns that the user named, if any. Raises DataError where one is missing, or named twice where it cannot be."""
    if asked is None:
        return ()
    names = split_names(asked, columns, place)
    if role != "text" and len(set(names)) < len(names):
        raise DataError(f"{place}: column '{next(one for one in names if names.count(one) > 1)}' is named twice in '{asked}'")
    return names


def usual_columns(role: str, names: Iterable[str], columns: Sequence[str], place: str, way: str) -> tuple[str, ...]:
    """The column with one of these names, if any. Raises DataError where there are several."""
    usual = set(names)
    found = [column for column in columns if column.lower() in usual]
    if len(found) > 1:
        several = f", or several joined with '+', such as {'+'.join(found[:2])}" if role == "text" else ""
        raise DataError(f"{place}: columns {listed(map(repr, found), SHOWN)} could each be the {role}; {way}{several}")
    return tuple(found)


def only_column(role: str, rest: Sequence[str], columns: Sequence[str], place: str, way: str) -> tuple[str, ...]:
    """The only column that has no role yet. Raises DataError where there is none, or several."""
    if len(rest) == 1:
        return (rest[0],)
    raise DataError(f"{place}: which column is the {role}? columns: {column_list(columns)}; {way}")


def existing_column(name: str, columns: Sequence[str], place: str) -> str:
    """The name of a column that there is. Raises DataError with the nearest one."""
    if name not in columns:
        raise DataError(f"column '{name}' not found in {place}; columns: {column_list(columns)}{suggest(name, columns)}")
    return name


def column_list(columns: Iterable[str]) -> str:
    """Columns in an error; in quotes where blanks around a name, or no name at all, would not be seen."""
    return listed((name if name and name == name.strip() else repr(name) for name in columns), SHOWN)


def join_text(row: Row, columns: Sequence[str], source: str, number: int) -> str | BadRow:
    """The text of row `number` of a source, its columns joined by spaces; a BadRow where a column holds no text."""
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
    """The columns of rows that may not all have the same ones, by the first of them, and the rows.

    No columns where these are all bad.
    """
    found: dict[str, None] = {}
    first: list[Row | BadRow] = []
    stream, letters = iter(rows), 0
    for row in islice(stream, LOOK_AHEAD):
        first.append(row)
        if not isinstance(row, BadRow):
            found.update(dict.fromkeys(row))
            letters += sum(len(value) for value in row.values() if isinstance(value, (str, bytes)))
            if letters > LOOK_AHEAD_LETTERS:
                break
    return list(found), chain(first, stream)
