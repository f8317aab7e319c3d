"""Which columns are the text and the label, and the text of a row."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.columns import Columns, choose_columns, join_text, text_columns, with_columns
from mtlkit.data.sources.pair_columns import negative_columns, pair_columns, score_column
from mtlkit.data.sources.rows import BadRow, Row
from mtlkit.errors import DataError


@pytest.mark.parametrize(
    ("columns", "asked", "found"),
    [
        (["id", "text", "author"], None, ["text"]),
        (["label", "anything"], None, ["anything"]),  # all others have a role
        (["q+a", "q", "a"], "q+a", ["q+a"]),  # a column that is there wins over a sum
        (["q+a", "title"], "title+q+a", ["title", "q+a"]),
        (["Review", "stars"], None, ["Review"]),
        (["anything"], None, ["anything"]),
        (["title", "body", "label"], "title+body", ["title", "body"]),
        (["id", "note"], "note", ["note"]),
    ],
)
def test_text_column_is_the_one_asked_for_the_usual_or_the_only_one(
    columns: list[str], asked: str | None, found: list[str]
) -> None:
    assert list(text_columns(columns, asked, "a.csv").text) == found


@pytest.mark.parametrize(
    ("columns", "text", "label", "found"),
    [
        (["text", "Category"], None, None, Columns(("text",), ("Category",), ())),
        (["text", "label", "stars"], None, "stars", Columns(("text",), ("stars",), ("label",))),
        (["id", "title", "body", "label"], "title+body", None, Columns(("title", "body"), ("label",), ("id",))),
        (["topic", "words"], None, None, Columns(("words",), ("topic",), ())),  # all but one have a role
        (["text", "grade"], None, None, Columns(("text",), ("grade",), ())),
        (["uno", "due"], None, "uno", Columns(("due",), ("uno",), ())),
        (["title", "body", "toxic", "rude"], "body+title", "toxic+rude", Columns(("body", "title"), ("toxic", "rude"), ())),
        (["title", "text"], None, "title", Columns(("text",), ("title",), ())),
    ],
)
def test_columns_are_those_named_those_with_usual_names_or_the_rest(
    columns: list[str], text: str | None, label: str | None, found: Columns
) -> None:
    assert choose_columns(columns, text, label, "a.csv") == found


@pytest.mark.parametrize(
    ("columns", "text", "label", "message"),
    [
        (["question", "sentence", "label"], None, None, "'question', 'sentence' could each be the text; .*question\\+sentence"),
        (["Text", "text", "label"], None, None, "'Text', 'text' could each be the text"),
        (["text", "label", "stars"], None, None, "'label', 'stars' could each be the label; specify \\?label=NAME"),
        (["text", "a", "b"], None, None, "which column is the label; columns: text, a, b"),
        (["a", "b", "label"], None, None, "which column is the text; columns: a, b, label"),
        (["text"], None, None, "which column is the label; columns: text"),
        (["text", "label"], "label", "label", "column 'label' is named both as text and as label"),
        (["text", "a"], None, "a+a", "column 'a' is repeated in 'a\\+a'"),
    ],
)
def test_two_readings_that_make_sense_are_an_error(  # faults 54 and 55
    columns: list[str], text: str | None, label: str | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        choose_columns(columns, text, label, "a.csv")


def test_recorded_columns_are_read_again_or_missed_by_name() -> None:  # fault 54
    recorded = SourceRecord("train.csv", text=("title", "body"), label=("stars",))
    columns = ["title", "body", "stars", "label"]
    assert choose_columns(columns, None, None, "b.csv", recorded) == Columns(("title", "body"), ("stars",), ("label",))
    assert choose_columns(columns, "body", "label", "b.csv", recorded) == Columns(("body",), ("label",), ("title", "stars"))
    message = "column 'title' not found in b.csv; the model reads its text from 'title\\+body'; columns: body, stars"
    with pytest.raises(DataError, match=message):
        choose_columns(["body", "stars"], None, None, "b.csv", recorded)
    assert choose_columns(["body", "stars"], "body", None, "b.csv", recorded).text == ("body",)
    with pytest.raises(DataError, match=r"column 'stars' not found in b\.csv; the model reads its label from 'stars'"):
        choose_columns(["title", "body", "label"], None, None, "b.csv", recorded)


USUAL = SourceRecord("train.csv", text=("text",), label=("stars",))


@pytest.mark.parametrize(
    ("columns", "instead"),
    [
        (["id", "sentence", "stars"], "sentence"),  # the usual one
        (["words", "stars"], "words"),  # the only one
        (["id", "words", "stars"], None),  # nothing tells which
        (["sentence", "review", "stars"], None),  # both would do
        (["stars"], None),
    ],
)
def test_a_usual_text_column_is_replaced_by_the_only_one_that_would_do(
    columns: list[str], instead: str | None
) -> None:  # fault 54
    said = f"column 'text' of the model's data not found in b.csv; using '{instead}'"
    if instead is None:
        with pytest.raises(DataError, match=r"column 'text' not found in b\.csv; the model reads its text from 'text'"):
            choose_columns(columns, None, None, "b.csv", USUAL)
        return
    chosen = choose_columns(columns, None, None, "b.csv", USUAL)
    assert (chosen.text, chosen.label, chosen.remarks) == ((instead,), ("stars",), (said,))
    alone = text_columns([name for name in columns if name != "stars"], None, "b.csv", recorded=[USUAL])
    assert (alone.text, alone.remarks) == ((instead,), (said,))


def test_a_column_that_was_named_or_several_are_not_replaced() -> None:  # fault 54
    for text in (("remark",), ("title", "body")):
        recorded = SourceRecord("train.csv", text=text, label=("stars",))
        with pytest.raises(DataError, match=f"column '{text[0]}' not found in b.csv"):
            choose_columns(["sentence", "stars"], None, None, "b.csv", recorded)
        with pytest.raises(DataError, match=f"column '{text[0]}' not found in b.csv"):
            text_columns(["sentence", "stars"], None, "b.csv", recorded=[recorded, USUAL])


def test_texts_without_labels_are_read_from_the_columns_of_the_tasks_of_a_model() -> None:  # fault 54
    both, body = SourceRecord("a", text=("title", "body")), SourceRecord("b", text=("body",))
    columns = ["id", "title", "body"]
    assert text_columns(columns, None, "c.csv", recorded=[both, both]).text == ("title", "body")
    assert text_columns(["id", "body"], None, "c.csv", recorded=[both, body]) == Columns(("body",), (), ("id",))
    assert text_columns(columns, "title", "c.csv", recorded=[both, body]).text == ("title",)
    alone = text_columns(["anything"], None, "c.csv", recorded=[body, USUAL])
    assert alone.text == ("anything",)
    assert alone.remarks == ("columns 'body', 'text' of the model's data not found in c.csv; using 'anything'",)
    with pytest.raises(DataError, match=r"c.csv: the model's tasks .* different columns, 'title\+body', 'body'; specify"):
        text_columns(columns, None, "c.csv", recorded=[both, body])
    with pytest.raises(DataError, match=r"column 'title' not found in c\.csv"):
        text_columns(["body"], None, "c.csv", recorded=[both])


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
        choose_columns(["text", "label"], None, "zzz", "a.csv")


def test_column_that_cannot_be_guessed_is_asked_for() -> None:  # fault 25
    with pytest.raises(DataError, match=r"a.csv: cannot tell which column is the text; columns: uno, due; specify \?text=NAME"):
        text_columns(["uno", "due"], None, "a.csv")


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
        (["uno", "due", "tre"], (None, None), "a.csv: cannot tell which columns are the pair; columns: uno, due, tre; specify "),
        (["text", "label"], (None, None), "a.csv: cannot tell which columns are the pair; columns: text, label; specify "),
        (["text"], (None, None), "a.csv: cannot tell which columns are the pair; columns: text; specify ?first=NAME&second=NAME"),
        (["uno", "due"], ("uno", None), "a.csv: only one column of the pair is named; specify both: ?first=NAME&second=NAME"),
        (["uno", "due"], (None, "due"), "a.csv: only one column of the pair is named; specify both: ?first=NAME&second=NAME"),
        (["uno", "due"], ("uno", "du"), "column 'du' not found in a.csv; columns: uno, due; did you mean 'due'?"),
    ],
)
def test_ambiguous_columns_of_a_pair_are_an_error(
    columns: list[str], asked: tuple[str | None, str | None], message: str
) -> None:  # fault 25
    with pytest.raises(DataError) as caught:
        pair_columns(columns, *asked, "a.csv")
    assert str(caught.value).startswith(message)


def test_three_unnamed_columns_may_be_a_pair_with_a_negative() -> None:
    with pytest.raises(DataError, match=r"specify \?first=NAME&second=NAME, and &negatives=NAME for a hard negative"):
        pair_columns(["uno", "due", "tre"], None, None, "a.csv")


@pytest.mark.parametrize(
    ("columns", "named", "found"),
    [
        (["a", "b", "negative_1", "id", "Negative_2"], None, ("negative_1", "Negative_2")),
        (["a", "b", "negatives", "non-negative"], None, ()),
        (["a", "b", "negative"], "none", ()),
        (["a", "b", "c", "d"], "d,c", ("d", "c")),
    ],
)
def test_columns_of_negatives(columns: list[str], named: str | None, found: tuple[str, ...]) -> None:
    assert negative_columns(columns, ("a", "b"), named, "a.csv") == found


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("c,e", "column 'e' not found in a.csv; columns: a, b, c"),
        ("c,c", "a.csv: column 'c' is named twice for negatives"),
        ("b", "a.csv: column 'b' is named both for a text of the pair and for negatives"),
    ],
)
def test_wrong_columns_of_negatives_are_an_error(named: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        negative_columns(["a", "b", "c"], ("a", "b"), named, "a.csv")
    assert str(caught.value).startswith(message)


def test_several_usual_pairs_are_an_error_that_lists_them() -> None:  # fault 54
    with pytest.raises(DataError, match=r"specify \?first=question&second=answer or \?first=title&second=body"):
        pair_columns(["question", "answer", "title", "body"], None, None, "a.csv")


def test_the_score_of_a_pair_is_never_a_label_beside_it() -> None:
    assert score_column(["sentence1", "sentence2", "label", "Score"], None, "a.csv") == "Score"
    assert score_column(["sentence1", "sentence2", "label"], None, "a.csv") == "label"
    with pytest.raises(DataError, match="'score', 'similarity' could each be the score"):
        score_column(["score", "similarity"], None, "a.csv")


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"title": "One", "body": 2}, "One 2"),
        ({"title": "", "body": "b"}, " b"),
        ({"title": b"caf\xc3\xa9", "body": "b"}, "café b"),
        ({"title": "One", "body": None}, BadRow("a.csv: row 7: no text in column 'title+body'")),
        ({"title": "One", "body": float("nan")}, BadRow("a.csv: row 7: no text in column 'title+body'")),
        ({"title": "One"}, BadRow("a.csv: row 7: no text in column 'title+body'")),
    ],
)
def test_text_is_joined_by_spaces_and_missing_where_a_part_is(row: dict[str, Any], text: str | BadRow) -> None:
    assert join_text(row, ["title", "body"], "a.csv", 7) == text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (["a", "cat"], "holds a list (['a', 'cat']) instead of text; join its items"),
        ({"en": "cat"}, "holds an object ({'en': 'cat'}) instead of text; name one of its fields, such as ?text=text.en"),
        (b"caf\xe9", "holds bytes that are not UTF-8 (byte 3)"),
    ],
)
def test_what_is_no_text_is_refused_with_its_row(value: Any, message: str) -> None:
    bad = join_text({"text": value}, ["text"], "a.parquet", 3)
    assert isinstance(bad, BadRow)
    assert bad.reason.startswith(f"a.parquet: row 3: column 'text' {message}")


def test_columns_are_those_of_all_rows_at_the_start() -> None:
    rows: list[Row | BadRow] = [{"text": "a"}, BadRow("x"), {"text": "b", "label": "c"}]
    columns, stream = with_columns(rows)
    assert (columns, list(stream)) == (["text", "label"], rows)
    assert with_columns([BadRow("x")])[0] == []


def test_blanks_around_a_name_are_seen_in_an_error() -> None:
    with pytest.raises(DataError, match="columns: 'words ', ' tag', id"):
        choose_columns(["words ", " tag", "id"], None, None, "a.csv")
