"""Which columns hold the text and the label, and the text of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.rows import BadRow, Row, place_of
from mtlkit.data.values import text_value
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
SCORE_NAMES = ("score", "similarity_score", "similarity", "relatedness_score")
PAIR_NAMES = (
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("anchor", "positive"),
    ("question1", "question2"),
    ("question", "answer"),
    ("query", "answer"),
    ("query", "document"),
    ("query", "passage"),
    ("premise", "hypothesis"),
    ("title", "body"),
    ("first", "second"),
)
SHOWN = 40  # columns named in an error
LOOK_AHEAD, LOOK_AHEAD_LETTERS = 100, 1 << 20  # rows whose columns are those of the source, and letters in them


@dataclass(frozen=True)
class Columns:
    """The columns whose texts are joined, those of the label (several hold a mark each), and those that are left out."""

    text: tuple[str, ...]
    label: tuple[str, ...]
    unused: tuple[str, ...]


def choose_columns(
    columns: Sequence[str], text: str | None, label: str | None, place: str, recorded: SourceRecord | None = None
) -> Columns:
    """The columns that are named (`title+body`), else those `recorded` by the model, else those with a usual name.

    Where all columns but one have a role, that one has the other. Raises DataError where a column is missing, or where several
    choices make sense.
    """
    texts = _named("text", columns, text, place, recorded.text if recorded else ())
    labels = _named("label", columns, label, place, recorded.label if recorded else ())
    if both := [name for name in texts if name in labels]:
        raise DataError(f"{place}: column '{both[0]}' is named both as text and as label; columns: {listed(columns, SHOWN)}")
    ask_text, ask_label = "specify ?text=NAME", "specify ?label=NAME"
    texts = texts or _usual("text", TEXT_NAMES, [name for name in columns if name not in labels], place, ask_text)
    labels = labels or _usual("label", LABEL_NAMES, [name for name in columns if name not in texts], place, ask_label)
    rest = [name for name in columns if name not in texts and name not in labels]
    if not texts:
        texts = _only("text", rest if labels else [], columns, place, ask_text)
    if not labels:
        labels = _only("label", rest, columns, place, ask_label)
    return Columns(texts, labels, tuple(name for name in columns if name not in texts and name not in labels))


def text_columns(
    columns: Sequence[str],
    asked: str | None,
    place: str,
    way: str = "specify ?text=NAME",
    recorded: Iterable[SourceRecord] = (),
) -> list[str]:
    """The columns whose texts are joined, for texts without labels: those named, recorded, usual, or the only one.

    `recorded` are those of all tasks of a model; `way` tells how to name one. Raises DataError.
    """
    known = list(dict.fromkeys(record.text for record in recorded if record.text))
    if asked is None and len(columns) == 1 and all(len(texts) == 1 for texts in known):
        return list(columns)
    fitting = [texts for texts in known if set(texts) <= set(columns)] or known
    if asked is None and len(fitting) > 1:
        choices = listed(("'" + "+".join(texts) + "'" for texts in fitting), SHOWN)
        raise DataError(
            f"{place}: the tasks of the model read their texts from {choices}; {way}; columns: {listed(columns, SHOWN)}"
        )
    texts = _named("text", columns, asked, place, fitting[0] if fitting else (), way)
    texts = texts or _usual("text", TEXT_NAMES, columns, place, way)
    rest = [name for name in columns if name.lower() not in LABEL_NAMES]
    return list(texts or _only("text", rest, columns, place, way))


def score_column(columns: Sequence[str], asked: str | None, place: str) -> str:
    """The column that says how alike two texts are: the one named, or the usual one. Raises DataError."""
    way = "specify ?label=NAME"
    found = _named("score", columns, asked, place) or _usual("score", SCORE_NAMES, columns, place, way)
    return (found or _usual("score", ("label",), columns, place, way) or _only("score", [], columns, place, way))[0]


def pair_columns(columns: Sequence[str], first: str | None, second: str | None, place: str) -> tuple[str, str]:
    """The two columns of a pair: those named, two usual names, or the only two there are. Raises DataError."""
    if first is not None or second is not None:
        if first is None or second is None:
            raise DataError(f"{place}: a pair has two columns; specify both, ?first=NAME&second=NAME")
        if first == second:
            raise DataError(f"{place}: column '{first}' is named as both sides of a pair; specify ?first=NAME&second=NAME")
        return _existing(first, columns, place), _existing(second, columns, place)
    lowered = {column.lower(): column for column in reversed(columns)}
    found = [(lowered[one], lowered[other]) for one, other in PAIR_NAMES if one in lowered and other in lowered]
    if len(found) > 1:
        pairs = " or ".join(f"?first={one}&second={other}" for one, other in found)
        raise DataError(f"{place}: several columns could be a pair; specify {pairs}")
    if found:
        return found[0]
    if len(columns) == 2 and not set(lowered) & set(LABEL_NAMES):
        return columns[0], columns[1]
    raise DataError(f"{place}: which two columns are a pair? columns: {listed(columns, SHOWN)}; specify ?first=NAME&second=NAME")


def split_names(asked: str, columns: Sequence[str], place: str) -> tuple[str, ...]:
    """`title+body` as columns; a column whose name has a plus wins over two. Raises DataError for one that is missing."""
    parts = asked.split("+")
    names: list[str] = []
    while parts:
        for count in range(len(parts), 0, -1):
            if (name := "+".join(parts[:count])) in columns:
                break
        names.append(_existing(name, columns, place))
        parts = parts[count:]
    return tuple(names)


def _named(
    role: str,
    columns: Sequence[str],
    asked: str | None,
    place: str,
    recorded: tuple[str, ...] = (),
    way: str = "",
) -> tuple[str, ...]:
    if asked is not None:
        names = split_names(asked, columns, place)
        if role != "text" and len(set(names)) < len(names):
            raise DataError(f"{place}: column '{next(one for one in names if names.count(one) > 1)}' is named twice in '{asked}'")
        return names
    for name in recorded:
        if name not in columns:
            of = "+".join(recorded)
            raise DataError(
                f"column '{name}' not found in {place}, and the model reads its {role} from '{of}'; "
                f"columns: {listed(columns, SHOWN)}; {way or f'specify ?{role}=NAME'} to read another one"
            )
    return recorded


def _usual(role: str, names: Iterable[str], columns: Sequence[str], place: str, way: str) -> tuple[str, ...]:
    usual = set(names)
    found = [column for column in columns if column.lower() in usual]
    if len(found) > 1:
        several = f", or several joined with '+', such as {'+'.join(found[:2])}" if role == "text" else ""
        raise DataError(f"{place}: columns {listed(map(repr, found), SHOWN)} could each be the {role}; {way}{several}")
    return tuple(found)


def _only(role: str, rest: Sequence[str], columns: Sequence[str], place: str, way: str) -> tuple[str, ...]:
    if len(rest) == 1:
        return (rest[0],)
    raise DataError(f"{place}: which column is the {role}? columns: {listed(columns, SHOWN)}; {way}")


def _existing(name: str, columns: Sequence[str], place: str) -> str:
    if name not in columns:
        raise DataError(f"column '{name}' not found in {place}; columns: {listed(columns, SHOWN)}{suggest(name, columns)}")
    return name


def join_text(row: Row, columns: Sequence[str], source: str, number: int) -> str | BadRow:
    """The text of row `number` of a source, its columns joined by spaces; a BadRow where a column holds no text."""
    if len(columns) == 1 and type(text := row.get(columns[0])) is str:
        return text
    texts: list[str] = []
    for column in columns:
        try:
            text = text_value(row.get(column))
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
