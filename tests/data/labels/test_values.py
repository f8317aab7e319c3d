"""Values of a table as labels: a class, 0-or-1 marks, a list written as text, or missing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from mtlkit.data.labels.values import MultiHotLabels, canonical, class_name, label_value, mark_of, text_value
from mtlkit.data.labels.written import parse_written


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("01", "01"),
        ("", None),
        (" \u00a0", None),  # blanks are no class
        (1, "1"),
        (1.0, 1.0),
        (True, "true"),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (Decimal("2.50"), 2.5),
        (Decimal("NaN"), None),
        (date(2024, 2, 29), "2024-02-29"),
        (b"caf\xc3\xa9", "café"),
        (["a", "b"], ("a", "b")),
        ([1, "b"], ("1", "b")),
        ([2.0, 3], ("2", "3")),
        ([], ()),
        (["a", None], None),
        ([0, 1, 0], MultiHotLabels((False, True, False))),
        ([0.0, 1.0], MultiHotLabels((False, True))),
        ([True, False], MultiHotLabels((True, False))),
        (["0", "1"], MultiHotLabels((False, True), ("0", "1"))),
        ({"POS": 1.0, "NEG": 0.0}, ("POS",)),
        ({"a": True, "b": 1}, ("a", "b")),
        ("🐈", "🐈"),
    ],
)
def test_label_keeps_what_determines_its_kind(value: Any, label: Any) -> None:
    assert label_value(value) == label
    assert type(label_value(value)) is type(label)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xff", "bytes that are not UTF-8 .byte 0."),
        ({"a": "b"}, r"an object .* instead of a label; name one of its fields, such as \?label=COLUMN.a"),
        ({"a": 0.7}, "0.7 for 'a', which is neither 0 nor 1"),
        ({"a": None}, "None for 'a', which is neither 0 nor 1"),
        ([0.2, 0.8], "a list of scores"),
        ([["a"]], "a list that contains a list"),
        (object(), "object .* instead of a label"),
    ],
)
def test_non_labels_are_refused_with_advice(value: Any, message: str) -> None:  # fault 54
    with pytest.raises(ValueError, match=message):
        label_value(value)


def test_text_of_booleans_and_numbers_is_spelt_as_json_does() -> None:
    assert [text_value(value) for value in (True, False, 1, 2.5, None)] == ["true", "false", "1", "2.5", None]


@pytest.mark.parametrize("value", [{}, {"a": 1}, ["a"], ("a",), object()])
def test_objects_and_lists_are_never_shown_as_text(value: Any) -> None:  # fault 54
    with pytest.raises(ValueError, match="instead of text"):
        text_value(value)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["a", "b\\u00e9"]', ["a", "bé"]),  # JSON
        ("['a', 'it\\'s']", ["a", "it's"]),  # pandas
        ("['a' 'b']", ["a", "b"]),  # NumPy: never "ab"
        ("['a'\n 'b']", ["a", "b"]),
        ("[0 1 0]", [0, 1, 0]),
        ("[0. 1.]", [0.0, 1.0]),
        ("[ True False]", [True, False]),
        ("[nan, 1.0]", [None, 1.0]),
        (" [] ", []),
        ("[a, b]", None),
        ("[1, 2", None),
        ("['a' b]", None),
        ("[1,,2]", None),
        ("a", None),
        ("('a', 'b',)", ["a", "b"]),  # a tuple
        ("('a',)", ["a"]),
        ("()", []),
        ("('a')", None),
        ("(1)", None),
        ("{'a', 'b'}", frozenset({"a", "b"})),  # a set
        ("set()", frozenset()),
        ("{'POS': 1.0, \"NEG\": False}", {"POS": 1.0, "NEG": False}),
        ('{"POS": 1, "NEG": null}', {"POS": 1, "NEG": None}),
        ("{0: 1, 'a': np.float64(0.0)}", {"0": 1, "a": 0.0}),
        ("{}", {}),
        ("[np.int64(0), np.int64(1)]", [0, 1]),
        ("{'a': {'b': 1}}", None),
        ("{a: 1}", None),
        ("{'a' 'b': 1}", None),
        ("[1)", None),
        ("[", None),
        ("[" * 100_000, None),
        ("[" * 100_000 + "]" * 100_000, None),
    ],
)
def test_lists_sets_and_dictionaries_are_read_as_json_pandas_and_numpy_write_them(text: str, items: Any) -> None:
    assert parse_written(text) == items


def test_booleans_and_whole_numbers_have_one_spelling() -> None:
    assert [canonical(name) for name in ("True", "FALSE", "1.0", "-3.00", "0.")] == ["true", "false", "1", "-3", "0"]
    assert [canonical(name) for name in ("01", "1.5", "01.0", "Truely", "1e3")] == ["01", "1.5", "01.0", "Truely", "1e3"]
    assert [class_name(label) for label in (0.0, -2.0, 0.5, "1.0", 1e300)] == ["0", "-2", "0.5", "1.0", "1e+300"]
    assert [mark_of(value) for value in ("1", "0.0", True, 1, 0.0, "False", Decimal(1))] == [
        True,
        False,
        True,
        True,
        False,
        False,
        True,
    ]
    assert [mark_of(value) for value in ("2", "", "yes", 0.5, 2, None, "01")] == [None] * 7
