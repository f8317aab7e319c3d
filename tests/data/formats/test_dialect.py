"""Delimiters, headers and quotes: detected and reported, or refused with what to specify."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtlkit.data.formats.dialect import Dialect
from mtlkit.data.sources.readers import describe, read
from mtlkit.data.sources.rows import BadRow
from mtlkit.errors import DataError


def written(path: Path, content: str) -> Path:
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        ("text;label\nHello, you;x\nb, c;y\n", ";"),
        ("text\tlabel\na;b\tx\n", "\t"),
        ("text|label\na|x\n", "|"),
        ('"text, long";label\n"a;b";x\n', ";"),
        ("text,label;more\na;b;c,x\n", ","),  # the header could be split by both, the rows by one
        ("text;label\n", ";"),
    ],
)
def test_the_delimiter_is_the_one_that_the_header_has_and_all_rows_fit(tmp_path: Path, content: str, delimiter: str) -> None:
    path = written(tmp_path / "a.csv", content)
    assert not [row for row in read(path) if isinstance(row, BadRow)]
    assert describe(path)[0].delimiter == delimiter


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("text;label\nHello; you;x\nb;y\n", "semicolon .*every row; specify delimiter=semicolon or delimiter=comma"),
        ("a,b;c\nd,e;f\n", "comma or semicolon .*; specify delimiter=comma or delimiter=semicolon"),
    ],
)
def test_a_delimiter_that_is_not_certain_is_asked_for(tmp_path: Path, content: str, said: str) -> None:  # fault 54
    path = written(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match=said):
        list(read(path))
    named = list(read(path, "utf-8", Dialect(delimiter=";")))
    assert len(named) == content.count("\n") - 1


def test_a_first_line_that_declares_the_separator_is_obeyed_after_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "\ufeffsep=;\r\ntext;label\r\na, b;x\r\n")
    (row,) = read(path)
    assert row == {"text": "a, b", "label": "x"}
    assert row.place == f"{path}:3"  # type: ignore[union-attr]
    assert isinstance(next(read(path, "utf-8", Dialect(delimiter=","))), BadRow)  # what the user says wins


@pytest.mark.parametrize(
    ("content", "evidence"),
    [
        ("great movie,pos\nbad,neg\nfine,pos\nwell,pos\n", "'pos' also occurs"),
        ("great movie,1\nbad,0\n", "'1' is a number"),
        ("I would see it again.\nNever again!\n", "is a sentence"),
        ("one of these sentences,another one like it\nthe second row is,about as long again\n", "every field is a sentence"),
    ],
)
def test_a_file_without_a_header_is_refused_and_can_be_read_without_one(  # fault 54
    tmp_path: Path, content: str, evidence: str
) -> None:
    path = written(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match=rf"a\.csv:1: the first row looks like data.*{evidence}.*header=no.*header=yes"):
        list(read(path))
    rows = list(read(path, "utf-8", Dialect(header=False)))
    assert len(rows) == content.count("\n")
    assert next(iter(rows))["1"] == content.split("\n")[0].split(",")[0]  # type: ignore[index]
    assert describe(path, "utf-8", Dialect(header=False))[0].header is False
    assert len(list(read(path, "utf-8", Dialect(header=True)))) == content.count("\n") - 1


@pytest.mark.parametrize("header", ["text,2019", "0,1", "review text,stars", "id,spam", "Timestamp,How was it?"])
def test_headers_that_can_be_headers_are_taken(tmp_path: Path, header: str) -> None:
    path = written(tmp_path / "a.csv", f"{header}\nfirst,1\nsecond,2\nthird,spam\n")
    assert [list(row) for row in read(path) if not isinstance(row, BadRow)] == [header.split(",")] * 3


def test_unnamed_columns_are_dropped_and_reported(tmp_path: Path) -> None:  # fault 55
    path = written(tmp_path / "a.csv", "v1,v2,, ,\na,b,c,,\n")
    assert list(read(path)) == [{"v1": "a", "v2": "b"}]
    assert describe(path)[1] == [f"{path}: ignored 3 columns without a name"]


def test_rows_that_all_end_in_a_delimiter_have_an_empty_column(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "text,label\na,x,\nb,y,\n")
    assert list(read(path)) == [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    (_, bad) = read(written(path, "text,label\na,x\nb,y,\n"))
    assert isinstance(bad, BadRow)


def test_a_tsv_has_no_quotes_unless_they_are_asked_for(tmp_path: Path) -> None:
    """Two stray quotes do not swallow the rows between them."""
    path = written(tmp_path / "a.tsv", 'text\tlabel\n"one\tx\ntwo\ty\nthree"\tx\n5" disk\ty\n')
    assert [row["text"] for row in read(path) if not isinstance(row, BadRow)] == ['"one', "two", 'three"', '5" disk']
    assert describe(path)[0].quoting is False
    quoted = written(tmp_path / "b.tsv", 'text\tlabel\n"a ""b""\nc"\tx\n')
    assert list(read(quoted, "utf-8", Dialect(quoting=True))) == [{"text": 'a "b"\nc', "label": "x"}]


def test_tsv_that_looks_quoted_is_reported_or_refused(tmp_path: Path) -> None:  # fault 54
    path = written(tmp_path / "a.tsv", 'text\tlabel\n"a ""b"" c"\tx\n')
    assert list(read(path)) == [{"text": '"a ""b"" c"', "label": "x"}]
    assert "look quoted" in describe(path)[1][0]
    with pytest.raises(DataError, match="the header is quoted; specify quoting=yes, or quoting=no"):
        list(read(written(path, '"text"\t"label"\n"a"\t"x"\n')))


def test_text_in_another_encoding_without_a_mark_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"te\0xt,label\na,b\n")
    with pytest.raises(DataError, match=r"NUL characters in the header; .*encoding=utf-16-le"):
        list(read(path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("# comment\ntext,label\na,x\nb,y\n", "'# comment', has one field.* have 2, separated by comma"),
        ("Survey\n\ntext;label;id\na;x;1\n", "'Survey', has one field.* have 3, separated by semicolon"),
        ('Title\n"a, b",x\n"c",y\n', "'Title', has one field.* have 2"),
    ],
)
def test_a_line_above_the_header_is_refused(tmp_path: Path, content: str, said: str) -> None:  # fault 54
    path = written(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match=rf"a\.csv:1: the first line, {said}.*; remove lines before the header, or .*header=yes"):
        list(read(path))
    assert list(read(path, "utf-8", Dialect(header=True)))
    assert list(read(written(tmp_path / "b.csv", "text\na, b\nno comma\n")))


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(tmp_path: Path, ending: str) -> None:
    rows: list[Any] = list(read(written(tmp_path / "a.csv", ending.join(["text,label", 'a,"x', 'y"', "b,z", ""]))))
    assert rows == [{"text": "a", "label": "x\ny"}, {"text": "b", "label": "z"}]
