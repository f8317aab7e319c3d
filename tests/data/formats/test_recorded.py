"""Files like the data of a model are read as that was, unless this does not fit them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.dialect import Dialect
from mtlkit.data.sources.readers import describe, read
from mtlkit.data.sources.rows import BadRow
from mtlkit.errors import DataError


def recorded(delimiter: str = ";", **changes: object) -> SourceRecord:
    """How `train.csv` was read."""
    values = {"files": {"train": ("train.csv",)}, "format": "csv", "encoding": "utf-8", "quoting": True, "header": True}
    return SourceRecord("train.csv", delimiter=delimiter, **{"text": ("text",), "label": ("label",), **values, **changes})  # type: ignore[arg-type]


def rows_of(path: Path, *records: SourceRecord, encoding: str | None = None, **said: object) -> list[object]:
    return list(read(path, encoding, Dialect(recorded=records, **said)))  # type: ignore[arg-type]


def remarks_of(path: Path, *records: SourceRecord) -> list[str]:
    return describe(path, None, Dialect(recorded=records))[1]


def test_the_recorded_delimiter_settles_what_could_be_read_in_two_ways(tmp_path: Path) -> None:  # fault 54
    path = tmp_path / "a.csv"
    path.write_text("text;label\nHello; you;x\nb;y\n")
    with pytest.raises(DataError, match="specify delimiter"):
        rows_of(path)
    bad, good = rows_of(path, recorded())
    assert isinstance(bad, BadRow)
    assert (good, remarks_of(path, recorded())) == ({"text": "b", "label": "y"}, [])
    assert rows_of(path, recorded(), delimiter=",") == [{"text;label": "Hello; you;x"}, {"text;label": "b;y"}]


def test_quoting_is_as_recorded(tmp_path: Path) -> None:  # fault 54
    path = tmp_path / "a.csv"
    path.write_text('text;label\n"one;x\ntwo";y\n')
    plain = recorded(quoting=False)
    assert rows_of(path, plain) == [{"text": '"one', "label": "x"}, {"text": 'two"', "label": "y"}]
    assert rows_of(path, plain, quoting=True) == [{"text": "one;x\ntwo", "label": "y"}]


@pytest.mark.parametrize(
    ("content", "row", "said"),
    [
        ("text,label\na;b,x\n", {"text": "a;b", "label": "x"}, "read with delimiter comma, not semicolon"),
        ("sentence,grade\na;b,x\n", {"sentence": "a;b", "grade": "x"}, "read with delimiter comma, not semicolon"),
        ("text\na; b\n", {"text": "a; b"}, "read with delimiter comma, not semicolon"),  # it could not be of two columns
        ('"text";"label"\n"a";x\n', {"text": "a", "label": "x"}, ""),
        ("sentence;grade\na,b;x\n", {"sentence": "a,b", "grade": "x"}, ""),
    ],
)
def test_file_with_another_layout_is_inspected_again(
    tmp_path: Path, content: str, row: dict[str, str], said: str
) -> None:  # fault 54
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert rows_of(path, recorded()) == [row]
    remarks = remarks_of(path, recorded())
    assert [remark.partition("; ")[2] for remark in remarks] == ([said] if said else [])


def test_single_column_that_looks_like_several_is_not_the_text(tmp_path: Path) -> None:  # fault 54
    path = tmp_path / "a.csv"
    path.write_text("sentence;grade\na;x\n")
    assert rows_of(path, recorded(",")) == [{"sentence": "a", "grade": "x"}]
    path.write_text("a great movie;x\nbad;y\nfine;x\nwell;x\n")
    with pytest.raises(DataError, match="the first row looks like data"):
        rows_of(path, recorded())


def test_a_file_without_a_header_is_read_without_one_unless_it_seems_to_have_one(tmp_path: Path) -> None:  # fault 54
    record = recorded(header=False, text=("1",), label=("2",))
    path = tmp_path / "a.csv"
    path.write_text("a great movie;x\nbad;y\n")
    assert rows_of(path, record) == [{"1": "a great movie", "2": "x"}, {"1": "bad", "2": "y"}]
    path.write_text("text;label\nbad;y\n")
    with pytest.raises(DataError, match=r"looks like column names \('text'\), .* specify header=yes or header=no"):
        rows_of(path, record)
    assert rows_of(path, record, header=True) == [{"text": "bad", "label": "y"}]
    assert len(rows_of(path, record, header=False)) == 2


@pytest.mark.parametrize(
    ("text", "written", "encoding", "said"),
    [
        ("caf\xe9", "latin-1", "latin-1", ""),
        ("caf\xe9", "utf-8", "latin-1", "read as utf-8, although the model's training data was latin-1"),
        ("coffee", "utf-8", "latin-1", ""),
        ("coffee", "utf-8", "utf-16", "read as utf-8, although the model's training data was utf-16"),
        ("caf\xe9", "utf-16", "utf-16", ""),
        ("coffee", "utf-16-le", "utf-16-le", ""),
        ("\u043a\u043e\u0444\u0435", "cp1251", "cp1251", ""),
    ],
)
def test_the_encoding_is_as_recorded_unless_the_file_is_utf_8(
    tmp_path: Path, text: str, written: str, encoding: str, said: str
) -> None:  # fault 54
    path = tmp_path / "a.csv"
    path.write_bytes(f"text;label\n{text};x\n".encode(written))
    record = recorded(encoding=encoding)
    assert rows_of(path, record) == [{"text": text, "label": "x"}]
    assert remarks_of(path, record) == ([f"{path}: {said}"] if said else [])
    assert rows_of(path, record, encoding=written) == [{"text": text, "label": "x"}]  # what the user says wins


def test_specified_format_applies_to_files_with_the_same_suffix(tmp_path: Path) -> None:  # fault 54
    record = recorded(files={"train": ("train.txt",)})
    for name, found in (("a.txt", {"text": "a", "label": "x"}), ("a.jsonl", None)):
        (tmp_path / name).write_text("text;label\na;x\n")
        rows = rows_of(tmp_path / name, record)
        assert rows == [found] if found else all(isinstance(row, BadRow) for row in rows)
    assert rows_of(tmp_path / "a.txt", record, format="txt")[0] == {"text": "text;label"}


def test_files_of_other_formats_are_read_by_their_own_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\na;b\tx\n")
    assert rows_of(path, recorded(encoding="utf-16")) == [{"text": "a;b", "label": "x"}]
    assert remarks_of(path, recorded()) == []


def test_of_several_tasks_the_one_whose_columns_are_there_decides(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text|a;label,b\n1|2;3,4\n")
    other = recorded(",", text=("review",), label=("stars",))
    first = recorded("|", text=("text",), label=("a;label,b",))
    assert rows_of(path, other, first) == [{"text": "1", "a;label,b": "2;3,4"}]
