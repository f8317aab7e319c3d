"""Quotes that are not closed cost one line each, and no line is lost unsaid."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.data.formats import records as module
from mtlkit.data.formats.records import records
from mtlkit.data.formats.text import Lines, split_lines
from mtlkit.data.readers import Tally, good_rows, read
from mtlkit.errors import DataError


def parsed(text: str, delimiter: str = ",") -> list[list[str] | str]:
    return [fields for _, fields in records(Lines(split_lines(io.StringIO(text))), delimiter, True)]


@given(st.lists(st.lists(st.text(st.sampled_from('ab,"\n ')), min_size=2, max_size=3), max_size=6))
def test_what_the_csv_module_writes_is_read_as_it_was(rows: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    assert parsed(file.getvalue()) == rows


@given(st.text(st.sampled_from('ab,"\n')))
def test_every_line_is_in_a_record_or_named(text: str) -> None:
    """Whatever the quotes are: each line that is not blank begins a record, is named, or belongs to a quoted field before it."""
    covered: set[int] = set()
    for number, fields in records(Lines(split_lines(io.StringIO(text))), ",", True):
        assert number not in covered
        more = 0 if isinstance(fields, str) else sum(field.count("\n") for field in fields)
        covered.update(range(number, number + more + 1))
    assert covered >= {number for number, line in enumerate(text.split("\n"), 1) if line}


def test_after_an_unclosed_quote_reading_goes_on_at_the_next_line(tmp_path: Path) -> None:  # fault 19
    path = tmp_path / "a.csv"
    path.write_text('text,label\na,x\n"b,y\n' + "".join(f"row {number},z\n" for number in range(900)))
    tally = Tally()
    assert len(list(good_rows(read(path), "skip", tally))) == 901
    assert (tally.skipped, tally.reasons) == (1, [f"{path}:3: a quote opened here is never closed"])
    with pytest.raises(DataError, match=r"a\.csv:3: a quote opened here is never closed"):
        list(good_rows(read(path), "error", Tally()))


def test_a_quote_that_the_next_one_contradicts_costs_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"b,y\nc,z\n"d, e",x\n')
    tally = Tally()
    assert [row["text"] for row in good_rows(read(path), "skip", tally)] == ["c", "d, e"]
    assert tally.skipped == 1


def test_a_quoted_field_is_given_up_where_it_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 50)
    found = parsed('"a,b\n' + "c,d\n" * 40)
    assert found == ["a quote opened here is never closed", *[["c", "d"]] * 40]


def test_no_setting_of_the_csv_module_is_touched(tmp_path: Path) -> None:  # fault 50
    limit = csv.field_size_limit()
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "a" * 200_000 + ",x\n" + 'b,"y"\n')
    one, two = read(path), read(path)
    assert len(next(one)["text"]) == len(next(two)["text"]) == 200_000  # type: ignore[index]
    assert csv.field_size_limit() == limit
    assert next(one) == next(two) == {"text": "b", "label": "y"}
