"""The labels of a source: names, marks and lists, as they are written."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.marks import RawLabel
from mtlkit.data.labels.reader import alike, label_reader
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.errors import DataError


def read(values: list[Any], keys: str = "", recorded: SourceRecord | None = None) -> tuple[Any, Any]:
    """Labels and names of a column of these values."""
    reader = label_reader(("label",), parse_source(f"a.csv?{keys}")[1], recorded)
    raw: list[RawLabel] = []
    for value in values:
        label = reader.read({"label": value})
        assert label is not None
        raw.append(label)
    return reader.finish(raw, "a.csv")


MARKS = [[0, 1, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("values", "keys", "labels", "names"),
    [
        (MARKS, "", [("1",), ("0", "1"), ()], ("0", "1", "2")),
        (MARKS, "names=a,b,c", [("b",), ("a", "b"), ()], ("a", "b", "c")),
        (MARKS, "names=a%2Bb,b,c", [("b",), ("a+b", "b"), ()], ("a+b", "b", "c")),
        ([[0.0, 1.0], [1.0, 1.0]], "names=a+b", [("b",), ("a", "b")], ("a", "b")),
        ([[True, False], [False, False]], "", [("0",), ()], ("0", "1")),
        (["[0, 1, 0]", "[1, 1, 0]"], "", [("1",), ("0", "1")], ("0", "1", "2")),  # as pandas writes them to csv
        (["[0 1 0]", "[1 1 0]"], "names=a,b,c", [("b",), ("a", "b")], ("a", "b", "c")),
        ([[0], [1, 0], [2]], "", [("0",), ("1", "0"), ("2",)], ()),  # numbers of classes
        ([[0], [1]], "names=spam", [(), ("spam",)], ("spam",)),
        ([[0], [1]], "kind=classification", ["0", "1"], ()),
        ([["a"], ["b"]], "kind=classification", ["a", "b"], ()),
        (["['a', 'b']", '["a"]', "[]"], "", [("a", "b"), ("a",), ()], ()),
        (["['a', 'b']", "[ads]"], "", ["['a', 'b']", "[ads]"], ()),  # not all are lists
        (["['a', 'b']", "c"], "kind=multi-label", [("a", "b"), ("c")], ()),
        (["a|b", "a", " | "], "sep=|", [("a", "b"), ("a",), ()], ()),
        (["a, b", "a"], "sep=,", [("a", "b"), ("a",)], ()),
        ([{"POS": 1.0, "NEG": 0.0}, {"POS": 0, "NEG": 0}], "", [("POS",), ()], ("POS", "NEG")),
        (["0|1|0", "1|1|0"], "sep=|", [("1",), ("0", "1")], ("0", "1", "2")),
        (["0|1|0", "1|1|0"], "sep=|&names=a,b,c", [("b",), ("a", "b")], ("a", "b", "c")),
        (["True|False", "False|False"], "sep=|", [("0",), ()], ("0", "1")),
        (["0 1 0", "1 1 0"], "sep=space", [("1",), ("0", "1")], ("0", "1", "2")),
        (["0 1 0", "1 1 0"], "kind=multi-label", [("1",), ("0", "1")], ("0", "1", "2")),
        (["0,1,0", "1,1,0"], "kind=multi-label&names=a,b,c", [("b",), ("a", "b")], ("a", "b", "c")),
        (["010", "110"], "kind=multi-label", [("1",), ("0", "1")], ("0", "1", "2")),
        (["1", "10", "11"], "kind=multi-label", ["1", "10", "11"], ()),  # numbers of classes
        (["0|2", "1", "true|2"], "sep=|", [("0", "2"), ("1",), ("true", "2")], ()),
        (["true", "x"], "sep=|", [("true",), ("x",)], ()),
        (["0", "1"], "sep=|", [("0",), ("1",)], ()),
        ([["0", "1", "0"], ["1", "1", "0"]], "", [("1",), ("0", "1")], ("0", "1", "2")),
        (["{'POS': 1.0, 'NEG': 0.0}", '{"POS": 0, "NEG": 0}'], "", [("POS",), ()], ("POS", "NEG")),
        (["{'POS': np.float64(1.0)}", "{'NEG': True}"], "kind=multi-label", [("POS",), ("NEG",)], ("POS", "NEG")),
        (["{'POS': 1, 'NEG': 0}"], "kind=classification", ["POS"], ()),
        (["('a', 'b')", "('a',)", "()"], "", [("a", "b"), ("a",), ()], ()),
        (["{'b', 'a'}", "{'a'}", "set()"], "", [("a", "b"), ("a",), ()], ()),
        (["{0, 2}", "{1}"], "", [("0", "2"), ("1",)], ()),
        (["(a)", "(b)"], "", ["(a)", "(b)"], ()),
        (["['a']", "['b']"], "kind=classification", ["a", "b"], ()),
        ([" Spam ", "spam", "new \u00a0 york"], "strip=yes", ["Spam", "spam", "new york"], ()),
        (["Spam", "ﬁne", "e\u0301"], "fold=yes", ["spam", "fine", "é"], ()),
        ([["A ", "a"], ["b"]], "strip=yes&fold=yes", [("a",), ("b",)], ()),
    ],
)
def test_labels_are_read_as_they_are_meant(values: list[Any], keys: str, labels: list[Any], names: Any) -> None:
    assert read(values, keys) == (labels, names)


@pytest.mark.parametrize(
    ("values", "keys", "message"),
    [
        ([[0], [1]], "", r"lists of a single 0 or 1; specify \?kind=classification .* or \?names=NAME"),
        (MARKS, "names=a,b", r"has 3 values per row, but 2 names are given \(a, b\)"),
        ([*MARKS, [0, 1]], "", r"a\.csv: column 'label' contains \[0, 1\], but other rows have lists of 3 values"),
        ([*MARKS, []], "", r"contains \[\], but other rows have lists of 3"),
        (["0|1|0", "1|0"], "sep=|", r"contains \[1, 0\], but other rows have lists of 3"),
        (["0 1 0", "1 1 0 0"], "kind=multi-label", r"contains \[1, 1, 0, 0\], but other rows have lists of 3"),
        (["{'POS': 0.7, 'NEG': 0.3}"], "", "whose values are not all 0 and 1; write the names of the labels"),
        (["x", "y"], "names=a,b", "names= names marks 0 and 1, and column 'label' has none"),
        (["['a', None]"], "", "has a missing part"),
        (["[0.5, 0.1]"], "", "column 'label' holds a list of scores"),
    ],
)
def test_two_readings_of_a_list_are_an_error(values: list[Any], keys: str, message: str) -> None:  # fault 54
    with pytest.raises(DataError, match=message):
        read(values, keys)


def test_a_model_reads_labels_as_it_was_trained_to() -> None:  # fault 54
    assert read(MARKS, "", SourceRecord("t", names=("a", "b", "c"))) == ([("b",), ("a", "b"), ()], ("a", "b", "c"))
    assert read(["A|b"], "", SourceRecord("t", sep="|", fold=True)) == ([("a", "b")], ())
    assert read(["A"], "fold=no", SourceRecord("t", fold=True)) == (["A"], ())
    by_name = SourceRecord("t", kind="multi-label", sep="|")  # of which 0 and 1 are two
    assert read(["0|1", "1|0"], "", by_name) == ([("0", "1"), ("1", "0")], ())
    assert read(["0|1|0", "1|1|0"], "", by_name) == ([("1",), ("0", "1")], ("0", "1", "2"))


def test_several_columns_hold_a_mark_each() -> None:
    reader = label_reader(("a", "b"), parse_source("x?kind=multi-label")[1], None)
    rows = [{"a": "1", "b": "0"}, {"a": "True", "b": "1.0"}, {"a": 0, "b": False}]
    assert reader.finish([label for row in rows if (label := reader.read(row)) is not None], "x") == (
        [("a",), ("a", "b"), ()],
        ("a", "b"),
    )
    assert reader.read({"a": "1", "b": ""}) is None
    with pytest.raises(ValueError, match="'2' in 'b', where each of several label columns holds 0 or 1"):
        reader.read({"a": "1", "b": "2"})
    with pytest.raises(DataError, match="gives 3 names, and there are 2 label columns"):
        label_reader(("a", "b"), parse_source("x?names=a,b,c")[1], None).names()


def test_labels_that_look_alike_are_grouped() -> None:
    names = ["ham", "spam", "Spam", "spam ", "caf\u00e9", "cafe\u0301", "x\u200b", "x", "\u05d0", "1", "01"]
    assert alike(names) == [["spam", "Spam", "spam "], ["caf\u00e9", "cafe\u0301"], ["x\u200b", "x"]]
