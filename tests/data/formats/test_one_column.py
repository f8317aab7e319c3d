"""Lines that look like several columns: reported, with what to specify."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.data.formats.dialect import Dialect
from mtlkit.data.sources.readers import describe, read


@pytest.mark.parametrize(
    ("name", "content", "way"),
    [
        ("a.csv", "text:label\na b:x\nc:d:y\n", "delimiter=:"),
        ("a.tsv", "text^label\na^x\nb^y\n", "delimiter=^"),
        ("a.csv", "text\x01label\na\x01x\nb\x01y\n", "delimiter=%01"),
        ("a.txt", "text\tlabel\na\tx\n\nb\ty\n", "format=tsv"),
        ("a.txt", "label,text\nx,a\ny,b\n", "format=csv"),
        ("a.txt", "label;text\nx;a\ny;b\n", "format=csv and delimiter=semicolon"),
    ],
)
def test_one_column_that_looks_like_several_is_mentioned(tmp_path: Path, name: str, content: str, way: str) -> None:  # fault 54
    path = tmp_path / name
    path.write_text(content)
    (remark,) = describe(path)[1]
    assert remark.startswith(f"{path}: ")
    assert remark.endswith(f"specify {way}")


def test_what_is_specified_is_not_mentioned(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text:label\na:x\nb:y\n")
    assert describe(path, None, Dialect(delimiter=":"))[1] == []
    assert list(read(path, None, Dialect(delimiter=":"))) == [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Review Text\nnote: good\nbad: no\n"),
        ("a.csv", "text/plain\nnot here\na/b\n"),
        ("a.csv", "text:label\n"),
        ("a.txt", "Well, here it is.\nYes, it is.\n"),
        ("a.txt", "text,label\na,x\nb\n"),
        ("a.txt", "one\ttwo\nthree\n"),
    ],
)
def test_plain_lines_are_not_mentioned(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert describe(path)[1] == []
