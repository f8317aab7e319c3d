"""Quotes that are not closed cost one line each, and no line is lost unsaid."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtlkit.data.formats import records as module
from mtlkit.data.formats import text
from mtlkit.data.formats.records import NO_QUOTES, TOO_LONG, UNCLOSED, Record, next_record, records
from mtlkit.data.formats.text import NumberedLines, split_lines
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.rows import BadRow, SkippedRows, good_rows
from mtlkit.errors import DataError


def parsed(content: str, delimiter: str = ",") -> list[list[str] | str]:
    return [fields for _, fields in records(NumberedLines(split_lines(io.StringIO(content))), delimiter, True)]


def test_a_delimiter_that_cannot_be_seen_is_called_by_its_name() -> None:
    (said,) = parsed('"a"x\tb\n', "\t")
    assert "expected a tab after the closing" in str(said)


@given(st.lists(st.lists(st.text(st.sampled_from('ab,"\n ')), min_size=2, max_size=3), max_size=6))
def test_what_the_csv_module_writes_is_read_as_it_was(rows: list[list[str]]) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    assert parsed(file.getvalue()) == rows


@given(st.text(st.sampled_from('ab,"\n')))
def test_every_line_is_in_a_record_or_named(text: str) -> None:
    """Whatever the quotes are: each line that is not blank begins a record, is named, or belongs to a quoted field before it."""
    covered: set[int] = set()
    for number, fields in records(NumberedLines(split_lines(io.StringIO(text))), ",", True):
        assert number not in covered
        more = 0 if isinstance(fields, str) else sum(field.count("\n") for field in fields)
        covered.update(range(number, number + more + 1))
    assert covered >= {number for number, line in enumerate(text.split("\n"), 1) if line}


def one_by_one(chunks: list[list[str | None]], delimiter: str, quoting: bool) -> list[Record]:
    """The records without the csv module."""
    lines, found = NumberedLines(chunks), []
    while record := next_record(lines, delimiter, quoting):
        found.append(record)
    return found


@given(
    st.lists(
        st.one_of(st.text(st.sampled_from('ab,"\r\n\0 ;'), max_size=12), st.sampled_from(['"', '"a","b\n', '""', '",'])),
        max_size=12,
    ),
    st.integers(1, 5),
    st.sampled_from(',; "'),
    st.sampled_from([3, 131_072]),
)
def test_the_csv_module_and_our_own_parser_agree(pieces: list[str], size: int, delimiter: str, most: int) -> None:
    """In chunks of any number of lines, and whatever limit of its fields another library sets."""
    content = io.TextIOWrapper(io.BytesIO("".join(pieces).encode()))
    lines = [line for lot in split_lines(content) for line in lot]
    chunks = [lines[place : place + size] for place in range(0, len(lines), size)]
    limit = csv.field_size_limit(most)
    try:
        assert list(records(NumberedLines(chunks), delimiter, True)) == one_by_one(chunks, delimiter, True)
    finally:
        csv.field_size_limit(limit)


@pytest.mark.parametrize("quoting", [True, False])
def test_a_line_that_is_too_long_is_one_bad_record(quoting: bool) -> None:
    lot = ['"a",b', "", None, "c,d"]
    first = ["a" if quoting else '"a"', "b"]
    assert list(records(NumberedLines([lot]), ",", quoting)) == [(1, first), (3, TOO_LONG), (4, ["c", "d"])]
    assert one_by_one([lot], ",", quoting) == [(1, first), (3, TOO_LONG), (4, ["c", "d"])]
    assert list(records(NumberedLines([['"a,b', None, "c,d"]]), ",", True)) == [
        (1, module.UNCLOSED),
        (2, TOO_LONG),
        (3, ["c", "d"]),
    ]


def test_chunks_of_a_file_may_end_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows, their lines and the rest after a bad one are the same wherever reading stops in between."""
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,label\r\n"a ""b""\r\n\r\nc",x\r\n\r\nd,y\r\n"e"f,z\r\n"g\rh",x\r\n"i,x')
    for size in range(1, 70):
        monkeypatch.setattr(text, "CHUNK", size)
        *rows, unclosed = read(path)
        assert [row.reason if isinstance(row, BadRow) else (row["text"], row.number) for row in rows] == [  # type: ignore[attr-defined]
            ('a "b"\n\nc', 2),
            ("d", 6),
            f"{path}:7: expected ',' after the closing '\"' of field 1; {NO_QUOTES}",
            ("g\nh", 8),
        ]
        assert unclosed == BadRow(f"{path}:10: {module.UNCLOSED}")


def test_reading_continues_on_the_next_line_after_an_unclosed_quote(tmp_path: Path) -> None:  # fault 19
    path = tmp_path / "a.csv"
    path.write_text('text,label\na,x\n"b,y\n' + "".join(f"row {number},z\n" for number in range(900)))
    tally = SkippedRows()
    assert len(list(good_rows(read(path), "skip", tally))) == 901
    assert (tally.skipped, tally.reasons) == (1, [f"{path}:3: {UNCLOSED}"])
    with pytest.raises(DataError, match=r"a\.csv:3: a quote opened here is never closed"):
        list(good_rows(read(path), "error", SkippedRows()))


def test_a_quote_that_the_next_one_contradicts_costs_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\n"b,y\nc,z\n"d, e",x\n')
    tally = SkippedRows()
    assert [row["text"] for row in good_rows(read(path), "skip", tally)] == ["c", "d, e"]
    assert tally.skipped == 1


def test_a_quoted_field_is_given_up_where_it_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 50)
    found = parsed('"a,b\n' + "c,d\n" * 40)
    assert found == [UNCLOSED, *[["c", "d"]] * 40]


def test_no_setting_of_the_csv_module_is_touched(tmp_path: Path) -> None:  # fault 50
    limit = csv.field_size_limit()
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "a" * 200_000 + ",x\n" + 'b,"y"\n')
    one, two = read(path), read(path)
    assert len(next(one)["text"]) == len(next(two)["text"]) == 200_000  # type: ignore[index]
    assert csv.field_size_limit() == limit
    assert next(one) == next(two) == {"text": "b", "label": "y"}
