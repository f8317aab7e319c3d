"""Which columns are the text and the label, and what a label is."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.data.columns import join_text, label_column, label_value, text_columns
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


def test_text_is_joined_by_spaces_and_missing_where_a_part_is() -> None:
    assert join_text({"title": "One", "body": 2}, ["title", "body"]) == "One 2"
    assert join_text({"title": "", "body": "b"}, ["title", "body"]) == " b"
    assert join_text({"title": "One", "body": None}, ["title", "body"]) is None
    assert join_text({"title": "One"}, ["title", "body"]) is None


@pytest.mark.parametrize(
    ("value", "label"),
    [("01", "01"), (1, "1"), (1.0, 1.0), (True, "true"), (None, None), ([1, "b"], ("1", "b")), ([], ())],
)
def test_label_keeps_what_tells_its_kind(value: Any, label: Any) -> None:
    assert label_value(value) == label
    assert type(label_value(value)) is type(label)
