"""Chooses the columns that hold the two texts of a pair, its hard negatives, and its similarity score."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.columns import LABEL_NAMES, column_list, existing_column, named_columns, only_column, usual_columns
from mtlkit.errors import DataError

SCORE_NAMES = ("score", "similarity_score", "similarity", "relatedness_score")
NEGATIVE = re.compile(r"(hard[ _-]?)?negative[ _-]?[0-9]*", re.IGNORECASE)  # negative, negative_1, hard_negative
NO_NEGATIVES = "none"
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
