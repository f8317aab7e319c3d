"""Chooses the columns that hold the two texts of a pair, its hard negatives, and its similarity score."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mtlkit.config.architecture import PairHead, PairInput
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.columns import (
    LABEL_NAMES,
    column_list,
    existing_column,
    named_columns,
    only_column,
    split_names,
    usual_columns,
)
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.errors import DataError

SCORE_NAMES = ("score", "similarity_score", "similarity", "relatedness_score")
NEGATIVE = re.compile(r"(hard[ _-]?)?negative[ _-]?[0-9]*", re.IGNORECASE)  # negative, negative_1, hard_negative
NO_NEGATIVES = "none"
PairColumns = tuple[tuple[str, ...], tuple[str, ...]]  # of the first texts and of the second ones; several are joined
PAIR_NAMES = (
    ("sentence1", "sentence2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
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


def pair_objective(columns: Sequence[str]) -> str:
    """The objective that pairs with these columns are for, `pairs` or `similarity`; "" if no columns have usual names."""
    lowered = {column.lower() for column in columns}
    if not any({left, right} <= lowered for left, right in PAIR_NAMES):
        return ""
    return "similarity" if lowered & set(SCORE_NAMES) else "pairs"


def score_column(columns: Sequence[str], named: str | None, location: str) -> str:
    """The column with the similarity score: the named one, or one with a usual name. Raises DataError."""
    advice = "specify ?label=NAME"
    chosen = named_columns("score", columns, named, location) or usual_columns("score", SCORE_NAMES, columns, location, advice)
    chosen = chosen or usual_columns("score", ("label",), columns, location, advice)
    return (chosen or only_column("score", [], columns, location, advice))[0]


def pair_columns(columns: Sequence[str], first: str | None, second: str | None, location: str) -> tuple[str, str]:
    """The two columns of a pair: the named ones, two usual names, or the only two columns. Raises DataError."""
    if first is not None or second is not None:
        if first is None or second is None:
            raise DataError(f"{location}: only one column of the pair is named; specify both: ?first=NAME&second=NAME")
        if first == second:
            raise DataError(f"{location}: column '{first}' is named for both texts of the pair; specify ?first=NAME&second=NAME")
        return existing_column(first, columns, location), existing_column(second, columns, location)
    lowered = {column.lower(): column for column in reversed(columns)}
    matching = [(lowered[left], lowered[right]) for left, right in PAIR_NAMES if left in lowered and right in lowered]
    if len(matching) > 1:
        choices = " or ".join(f"?first={left}&second={right}" for left, right in matching)
        raise DataError(f"{location}: several columns could be the pair; specify {choices}")
    if matching:
        return matching[0]
    if len(columns) == 2 and not set(lowered) & set(LABEL_NAMES):
        return columns[0], columns[1]
    shown = column_list(columns)
    more = ", and &negatives=NAME for a hard negative" if len(columns) == 3 and not set(lowered) & set(LABEL_NAMES) else ""
    raise DataError(
        f"{location}: cannot tell which columns are the pair; columns: {shown}; specify ?first=NAME&second=NAME{more}"
    )


def negative_columns(columns: Sequence[str], pair: tuple[str, str], named: str | None, location: str) -> tuple[str, ...]:
    """The columns of hard negatives: the named ones, or those called `negative`, `negative_1` and so on. Raises DataError."""
    if named is None:
        return tuple(column for column in columns if NEGATIVE.fullmatch(column) and column not in pair)
    if named == NO_NEGATIVES and named not in columns:
        return ()
    names = tuple(existing_column(name, columns, location) for name in named.split(","))
    if wrong := next((name for name in names if name in pair or names.count(name) > 1), None):
        role = "both for a text of the pair and for negatives" if wrong in pair else "twice for negatives"
        raise DataError(f"{location}: column '{wrong}' is named {role}; specify ?negatives=NAME,NAME")
    return names


def check_negatives(record: SourceRecord) -> None:
    """Raises DataError if no column of hard negatives was read, as triplets need one."""
    if not record.negatives:
        shown = column_list([*filter(None, (record.first, record.second)), *record.unused])
        way = "specify ?negatives=NAME, or use --objective pairs"
        raise DataError(f"{record.source}: triplets need a column of negatives; columns: {shown}; {way}")


def is_labelled_pair(query: Query, recorded: SourceRecord | None) -> bool:
    """Whether the examples of a labelled source are pairs of texts: as it says, else as the model's data was."""
    named = (query.pair, query.first, query.second)
    return any(named) or (query.text is None and recorded is not None and recorded.first is not None)


def pair_head_of(query: Query, known: PairInput | None = None) -> PairHead | None:
    """How a head for this data reads pairs of texts, by default as a `known` head does; None for single texts."""
    default: PairHead = "joint" if known in ("joint", "either") else "vectors"
    return (query.pair_head or default) if is_labelled_pair(query, None) else None


def labelled_pair_columns(columns: Sequence[str], query: Query, location: str, recorded: SourceRecord | None) -> PairColumns:
    """The columns of each text of a labelled pair, which may be joined with `+`: the named ones, else those that the model was
    trained on. Raises DataError."""
    if query.pair is not None:
        sides = named_sides(columns, query.pair, location)
    elif query.first is not None or query.second is not None:
        first, second = pair_columns(columns, query.first, query.second, location)
        sides = (first,), (second,)
    else:
        assert recorded is not None
        sides = recorded_sides(columns, recorded, location)
    if sides[0] == sides[1]:
        raise DataError(
            f"{location}: column '{'+'.join(sides[0])}' is named for both texts of the pair; specify ?pair=FIRST,SECOND; "
            f"columns: {column_list(columns)}"
        )
    return sides


def named_sides(columns: Sequence[str], pair: str, location: str) -> PairColumns:
    """Splits `premise,hypothesis` into the columns of either text; names of columns may contain commas. Raises DataError."""
    parts = pair.split(",")
    if len(parts) == 2:
        return split_names(parts[0], columns, location), split_names(parts[1], columns, location)
    for count in range(1, len(parts)):
        try:
            first, second = ",".join(parts[:count]), ",".join(parts[count:])
            return split_names(first, columns, location), split_names(second, columns, location)
        except DataError:
            continue
    raise DataError(
        f"{location}: pair={pair} names {len(parts)} columns, and a pair has two; join columns of one text with '+'; "
        f"columns: {column_list(columns)}"
    )


def recorded_sides(columns: Sequence[str], recorded: SourceRecord, location: str) -> PairColumns:
    """The columns that a model reads pairs from. Raises DataError if one is missing."""
    try:
        first, second = (split_names(name or "", columns, location) for name in (recorded.first, recorded.second))
    except DataError as error:
        trained = f"the model reads its pairs from '{recorded.first}' and '{recorded.second}'"
        raise DataError(f"{error}; {trained}; specify ?pair=FIRST,SECOND to read others") from None
    return first, second
