from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from mtlkit.data.sources import open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.errors import DataError


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The writing end of a pipe that is standard input."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as file:
        monkeypatch.setattr("sys.stdin", file)
        yield writing


def test_texts_are_read_from_a_pipe_once(piped: int) -> None:
    os.write(piped, b"one\r\ntwo\n")
    os.close(piped)
    source = open_source("-", parse_source("-")[1])
    assert source.record("utf-8").format == "txt"
    assert list(source.rows("train", "utf-8")) == [{"text": "one"}, {"text": "two"}]
    with pytest.raises(DataError, match="can be read only once"):
        list(source.rows("train", "utf-8"))


def test_tables_are_read_from_a_pipe_by_their_format(piped: int) -> None:
    os.write(piped, b"text;label\na;x\n")
    os.close(piped)
    source = open_source(*parse_source("-:format=csv"))
    assert list(source.rows("train", "utf-8")) == [{"text": "a", "label": "x"}]


def test_bytes_of_another_encoding_are_reported(piped: int) -> None:
    os.write(piped, "café\n".encode("latin-1"))
    os.close(piped)
    with pytest.raises(DataError, match=r"standard input: not valid utf-8; .*--encoding latin-1"):
        list(open_source(*parse_source("-")).rows("train", "utf-8"))


def test_missing_standard_input_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stdin", closed)
    with pytest.raises(DataError, match="save it to a file"):
        list(open_source(*parse_source("-")).rows("train", "utf-8"))
