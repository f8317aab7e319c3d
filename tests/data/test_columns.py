"""Which columns are the text and the label, and what a label is."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.data.columns import join_text, label_column, label_value, pair_columns, text_columns
from mtlkit.errors import DataError


@pytest.mark.parametrize(
    ("columns", "asked", "found"),
    [
        (["id", "text", "title"], None, ["text"]),
        (["Review", "stars"], None, ["Review"]),
        (["anything"], None, ["anything"]),
        (["title", "body", "label"], "title+body", ["title", "body"]),
        (["id", "note"], "note", ["note"]),
    ],
)
def test_text_column_is_the_one_asked_for_the_usual_or_the_only_one(
    columns: list[str], asked: str | None, found: list[str]
) -> None:
    assert text_columns(columns, asked, "a.csv") == found


def test_label_column_is_the_usual_one_or_the_one_asked_for() -> None:
    assert label_column(["text", "Category"], None, "a.csv") == "Category"
    assert label_column(["text", "label", "stars"], "stars", "a.csv") == "stars"


def test_wrong_text_column_is_answered_with_the_columns_and_the_nearest() -> None:  # fault 25
    with pytest.raises(DataError) as caught:
        text_columns(["title", "sentence", "label"], "sentense", "a.csv")
    assert str(caught.value) == (
        "column 'sentense' not found in a.csv; columns: title, sentence, label; did you mean 'sentence'?"
    )


def test_one_wrong_column_of_several_is_named() -> None:  # fault 25
    with pytest.raises(DataError, match=r"column 'bodi' not found .* did you mean 'body'\?"):
        text_columns(["title", "body"], "title+bodi", "a.csv")


def test_wrong_label_column_is_answered_with_the_columns() -> None:  # fault 25
    with pytest.raises(DataError, match=r"column 'zzz' not found in a.csv; columns: text, label$"):
        label_column(["text", "label"], "zzz", "a.csv")


def test_column_that_cannot_be_guessed_is_asked_for() -> None:  # fault 25
    with pytest.raises(DataError, match=r"a.csv: which column is the text\? columns: uno, due; say \?text=NAME"):
        text_columns(["uno", "due"], None, "a.csv")
    with pytest.raises(DataError, match=r"a.csv: which column is the label\? columns: uno, due; say \?label=NAME"):
        label_column(["uno", "due"], None, "a.csv")


@pytest.mark.parametrize(
    ("columns", "asked", "found"),
    [
        (["id", "sentence1", "sentence2", "score"], (None, None), ("sentence1", "sentence2")),
        (["Answer", "Question", "id"], (None, None), ("Question", "Answer")),
        (["positive", "anchor", "negative"], (None, None), ("anchor", "positive")),
        (["uno", "due"], (None, None), ("uno", "due")),
        (["uno", "due", "sentence1", "sentence2"], ("due", "uno"), ("due", "uno")),
    ],
)
def test_columns_of_a_pair_are_those_asked_for_the_usual_ones_or_the_only_two(
    columns: list[str], asked: tuple[str | None, str | None], found: tuple[str, str]
) -> None:
    assert pair_columns(columns, *asked, "a.csv") == found


@pytest.mark.parametrize(
    ("columns", "asked", "message"),
    [
        (["uno", "due", "tre"], (None, None), "a.csv: which two columns are a pair? columns: uno, due, tre; say "),
        (["text", "label"], (None, None), "a.csv: which two columns are a pair? columns: text, label; say "),
        (["text"], (None, None), "a.csv: which two columns are a pair? columns: text; say ?first=NAME&second=NAME"),
        (["uno", "due"], ("uno", None), "a.csv: a pair has two columns; say both, ?first=NAME&second=NAME"),
        (["uno", "due"], (None, "due"), "a.csv: a pair has two columns; say both, ?first=NAME&second=NAME"),
        (["uno", "due"], ("uno", "du"), "column 'du' not found in a.csv; columns: uno, due; did you mean 'due'?"),
    ],
)
def test_columns_of_a_pair_that_cannot_be_told_are_asked_for(
    columns: list[str], asked: tuple[str | None, str | None], message: str
) -> None:  # fault 25
    with pytest.raises(DataError) as caught:
        pair_columns(columns, *asked, "a.csv")
    assert str(caught.value).startswith(message)


def test_text_is_joined_by_spaces_and_missing_where_a_part_is() -> None:
    assert join_text({"title": "One", "body": 2}, ["title", "body"]) == "One 2"
    assert join_text({"title": "", "body": "b"}, ["title", "body"]) == " b"
    assert join_text({"title": "One", "body": None}, ["title", "body"]) is None
    assert join_text({"title": "One"}, ["title", "body"]) is None


@pytest.mark.parametrize(
    ("value", "label"),
    [("01", "01"), (1, "1"), (1.0, 1.0), (True, "true"), (None, None), ([1, "b"], ("1", "b")), ([], ()), (["a", None], None)],
)
def test_label_keeps_what_tells_its_kind(value: Any, label: Any) -> None:
    assert label_value(value) == label
    assert type(label_value(value)) is type(label)
