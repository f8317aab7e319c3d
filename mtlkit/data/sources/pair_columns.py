"""Which columns hold the two texts of a pair, and how alike these are."""

from __future__ import annotations

from collections.abc import Sequence

from mtlkit.data.sources.columns import LABEL_NAMES, column_list, existing_column, named_columns, only_column, usual_columns
from mtlkit.errors import DataError

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


def score_column(columns: Sequence[str], asked: str | None, place: str) -> str:
    """The column that says how alike two texts are: the one named, or the usual one. Raises DataError."""
    way = "specify ?label=NAME"
    found = named_columns("score", columns, asked, place) or usual_columns("score", SCORE_NAMES, columns, place, way)
    return (found or usual_columns("score", ("label",), columns, place, way) or only_column("score", [], columns, place, way))[0]


def pair_columns(columns: Sequence[str], first: str | None, second: str | None, place: str) -> tuple[str, str]:
    """The two columns of a pair: those named, two usual names, or the only two there are. Raises DataError."""
    if first is not None or second is not None:
        if first is None or second is None:
            raise DataError(f"{place}: a pair has two columns; specify both, ?first=NAME&second=NAME")
        if first == second:
            raise DataError(f"{place}: column '{first}' is named as both sides of a pair; specify ?first=NAME&second=NAME")
        return existing_column(first, columns, place), existing_column(second, columns, place)
    lowered = {column.lower(): column for column in reversed(columns)}
    found = [(lowered[one], lowered[other]) for one, other in PAIR_NAMES if one in lowered and other in lowered]
    if len(found) > 1:
        pairs = " or ".join(f"?first={one}&second={other}" for one, other in found)
        raise DataError(f"{place}: several columns could be a pair; specify {pairs}")
    if found:
        return found[0]
    if len(columns) == 2 and not set(lowered) & set(LABEL_NAMES):
        return columns[0], columns[1]
    raise DataError(f"{place}: which two columns are a pair? columns: {column_list(columns)}; specify ?first=NAME&second=NAME")
