"""Words, tags and spans from the values of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mtlkit.data.labels.word_values import spans_value, tags_value, words_value

TEXT = "Anna lives in New York."


@pytest.mark.parametrize("value", [["a", "b"], ("a", "b"), np.array(["a", "b"]), "['a', 'b']", '["a", "b"]', "['a' 'b']"])
def test_words_are_a_list_or_one_written_as_text(value: Any) -> None:
    assert words_value(value) == ["a", "b"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "no words"),
        ([], "no words"),
        ("Anna lives", "instead of a list of words"),
        (5, "instead of a list of words"),
        (["a", ""], "no word at position 2"),
        (["a", None], "no word at position 2"),
        ([["a"]], "instead of text"),
    ],
)
def test_what_is_no_list_of_words_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        words_value(value)


def test_tags_are_names_or_numbers_with_names() -> None:
    assert tags_value(["O", "B-X"], ()) == ("O", "B-X")
    assert tags_value([0, 1], ("O", "B-X")) == ("O", "B-X")
    assert tags_value(["0", "1"], ("O", "B-X")) == ("O", "B-X")
    assert tags_value(["1", "0"], ("1", "0")) == ("1", "0")  # names themselves
    assert tags_value("['O', 'B-X']", ()) == ("O", "B-X")
    assert tags_value({"O": 1, "B-X": 0, "I-X": 1}, ()) == ("B-X", "O", "B-X")  # read as marks by `datasets` names


@pytest.mark.parametrize(
    ("value", "names", "message"),
    [
        ([0, 1], (), "name the tags"),
        ([0, 2], ("O", "B-X"), "the tag 2"),
        ([-1], ("O", "B-X"), "the tag -1"),
        (["O", None], (), "None instead of a tag"),
        ([1.5], (), "1.5 instead of a tag"),
        (["O", " "], (), "an empty tag"),
        (None, (), "no tags"),
    ],
)
def test_what_is_no_tag_is_refused(value: Any, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tags_value(value, names)


@pytest.mark.parametrize(
    "value",
    [
        [{"start": 0, "end": 4, "label": "PER"}, {"start": 14, "end": 22, "label": "LOC"}],
        [[14, 22, "LOC"], [0, 4, "PER"]],
        [(0, 4, "PER"), (14, 22, "LOC"), (0, 4, "PER")],
        [{"id": 1, "start_offset": 0, "end_offset": 4, "label": "PER"}, {"start_offset": 14, "end_offset": 22, "label": "LOC"}],
        [{"start": 0, "end": 4, "type": "PER", "token_start": 0}, {"start": 14, "end": 22, "type": "LOC"}],
        {"start": [0, 14], "end": [4, 22], "label": ["PER", "LOC"], "text": ["Anna", "New York"]},
        '[[0, 4, "PER"], [14, 22, "LOC"]]',
    ],
)
def test_spans_are_objects_or_lists_as_tools_write_them(value: Any) -> None:
    assert spans_value(value, TEXT, ()) == [(0, 4, "PER"), (14, 22, "LOC")]


def test_labels_of_spans_may_be_numbers() -> None:
    assert spans_value([[0, 4, 1]], TEXT, ("LOC", "PER")) == [(0, 4, "PER")]
    assert spans_value([], TEXT, ()) == []


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "no spans"),
        ([[0, 4]], "instead of a span"),
        (["PER"], "instead of a span"),
        ([{"start": 0, "label": "PER"}], "instead of a span"),
        ([[0, 4, None]], "without a label"),
        ([[0, 4, ""]], "without a label"),
        ([[4, 4, "PER"]], "is empty"),
        ([[20, 24, "LOC"]], "not within the text of 23 characters"),
        ([[-1, 4, "LOC"]], "not within"),
        ([[4, 5, "LOC"]], "blank in the text"),
        ([[0, 10, "PER"], [5, 12, "LOC"]], r"overlapping spans, 0 to 10 \(PER\) and 5 to 12 \(LOC\)"),
        ([[0, 4, "PER"], [0, 4, "LOC"]], "overlapping"),
        ([[0.5, 4, "PER"]], "instead of a span"),
    ],
)
def test_what_is_no_span_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spans_value(value, TEXT, ())
