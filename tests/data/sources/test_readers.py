"""Rows from real files in every format, and error messages for invalid ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from forks import Forks
from pyarrow import parquet

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.rows import BadRow, SkippedRows, good_rows, place_of
from mtlkit.errors import DataError
from mtlkit.recipes.pretrain import stream
from mtlkit.training.events import Note

Cli = Callable[..., Any]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def only_bad(path: Path) -> list[str]:
    return [row.reason for row in read(path) if isinstance(row, BadRow)]


def test_csv_values_stay_the_text_that_they_are(tmp_path: Path) -> None:  # fault 21, fault 22
    rows = ["NA", "None", "null", "nan", "1", "01", "1.0", "true", "", " spaced "]
    path = written(tmp_path / "a.csv", "text,label\n" + "".join(f"{row},{row}\n" for row in rows))
    assert list(read(path)) == [{"text": row, "label": row} for row in rows]


def test_csv_reads_quotes_line_breaks_and_line_endings(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", 'text,label\r\n"one, ""two""\nthree",x\r\n\r\nfour,y\r\n')
    assert list(read(path)) == [{"text": 'one, "two"\nthree', "label": "x"}, {"text": "four", "label": "y"}]


def test_tsv_is_parted_by_tabs(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tsv", 'text\tlabel\nHe said "no", twice\tx\n')
    assert list(read(path)) == [{"text": 'He said "no", twice', "label": "x"}]


def test_jsonl_keeps_types_and_skips_blank_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl", '{"text": "caf\\u00e9 \\ud83d\\ude00", "label": 3}\n\n{"text": null, "label": [1, "b"]}\n'
    )
    assert list(read(path)) == [{"text": "café 😀", "label": 3}, {"text": None, "label": [1, "b"]}]


def test_txt_is_a_text_a_line_blank_ones_too(tmp_path: Path) -> None:
    path = written(tmp_path / "a.TXT", "one\n\n two\u2028still two\r\nlast")
    assert [row["text"] for row in good_rows(read(path), "error", SkippedRows())] == ["one", "", " two\u2028still two", "last"]


def test_parquet_is_read_in_parts_and_in_order(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(20_000)]
    parquet.write_table(pyarrow.table({"text": texts, "n": range(20_000)}), tmp_path / "a.parquet", row_group_size=7000)
    assert [row["n"] for row in good_rows(read(tmp_path / "a.parquet"), "error", SkippedRows())] == list(range(20_000))


@pytest.mark.parametrize(
    ("content", "place", "reason"),
    [
        ("text,label\na,b\nc,d,e\nf,g\n", 3, "3 fields, but the header has 2"),
        ('text,label\n"a\nb",c\nd,e,f\n', 4, "3 fields, but the header has 2"),  # lines are counted, not rows
        ('text,label\na,b\n"c,d\ne,f\n', 3, "a quote opened here is never closed"),
        ('text,label\n"a"b,c\n', 2, "expected ',' after"),
    ],
)
def test_malformed_csv_row_is_named_by_file_and_line(tmp_path: Path, content: str, place: int, reason: str) -> None:  # fault 19
    path = written(tmp_path / "a.csv", content)
    (message,) = only_bad(path)
    assert message.startswith(f"{path}:{place}: ")
    assert reason in message
    with pytest.raises(DataError, match="--on-bad-row skip") as caught:
        list(good_rows(read(path), "error", SkippedRows()))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('"text,label\na,b\n', "a quote opened here is never closed"),
        ('"text"x,label\na,b\n', "expected ',' after"),
        ("text,label,text\na,b,c\n", "column text appears twice"),
    ],
)
def test_malformed_csv_header_is_named_by_file_and_line(tmp_path: Path, content: str, reason: str) -> None:  # fault 19
    path = written(tmp_path / "a.csv", content)
    with pytest.raises(DataError, match=reason) as caught:
        list(read(path))
    assert str(caught.value).startswith(f"{path}:1: ")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"text": "a"', "invalid JSON"),
        ('["a"]', "expected a JSON object, not an array"),
        ('"a"', "expected a JSON object, not a string"),
        ("[" * 200_000, "invalid JSON"),
        ('{"text": "half \\ud83d"}', "contains half a surrogate pair"),
        ('{"text": ' + "9" * 5000 + "}", "invalid JSON"),  # more digits than Python takes
    ],
)
def test_malformed_jsonl_row_is_named_by_file_and_line(tmp_path: Path, line: str, reason: str) -> None:  # fault 19
    path = written(tmp_path / "a.jsonl", '{"text": "fine"}\n' + line + '\n{"text": "fine too"}\n')
    (message,) = only_bad(path)
    assert message.startswith(f"{path}:2: {reason}")
    tally = SkippedRows()
    assert [row["text"] for row in good_rows(read(path), "skip", tally)] == ["fine", "fine too"]
    assert (tally.skipped, tally.reasons) == (1, [message])


def test_a_header_of_many_columns_is_read_at_once(tmp_path: Path) -> None:  # comparing each with each would take minutes
    path = written(tmp_path / "a.csv", ",".join(f"c{number}" for number in range(50_000)) + "\na,b\n")
    (message,) = only_bad(path)
    assert message == f"{path}:2: 2 fields, but the header has 50000"


def test_short_csv_row_is_an_error_that_names_its_line(tmp_path: Path) -> None:  # fault 20
    path = written(tmp_path / "a.csv", "text,label\na,b\nno label here\nc,d\n")
    with pytest.raises(DataError, match="1 field, but the header has 2") as caught:
        list(good_rows(read(path), "error", SkippedRows()))
    assert f"{path}:3: " in str(caught.value)


def test_skipped_rows_are_counted_and_the_first_reasons_kept(tmp_path: Path) -> None:  # fault 19
    path = written(tmp_path / "a.csv", "text,label\n" + "good,row\nbad\n" * 5)
    tally = SkippedRows()
    assert len(list(good_rows(read(path), "skip", tally))) == 5
    assert tally.skipped == 5
    assert [reason.split(": ")[0] for reason in tally.reasons] == [f"{path}:{line}" for line in (3, 5, 7)]


def test_malformed_row_ends_a_command_with_code_3_and_one_line(tmp_path: Path, forks: Forks) -> None:  # fault 19
    path = written(tmp_path / "a.csv", "text\nfine\nnot,fine\n")
    result = forks.start("pretrain", path, "--runs", tmp_path / "runs")
    assert result.wait() == 3
    assert result.out == ""
    assert result.err.splitlines() == [
        f"mtlkit: {path}:3: 2 fields, but the header has 1; fix it, or skip such rows with --on-bad-row skip"
    ]
    assert not list((tmp_path / "runs").glob("*"))


def test_training_reports_skipped_rows_with_reasons(tmp_path: Path) -> None:  # fault 19
    rows = "".join(f"A sentence of some words, and {row * row}.\n" for row in range(40))
    path = written(tmp_path / "a.csv", f"text\n{rows.replace(',', ' -')}not,fine\nnot,fine\n")
    shape: dict[str, Any] = {"layers": 1, "dim": 16, "heads": 1, "vocab_size": 300, "context": 16, "epochs": 1, "dedup": "none"}
    options = PretrainOptions(sources=[str(path)], runs=tmp_path / "runs", on_bad_row="skip", **shape)
    warnings = [event.text for event in stream(options) if isinstance(event, Note) and event.warning]
    assert warnings == [f"2 rows skipped, such as {path}:42: 2 fields, but the header has 1"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".txt"])
def test_latin_1_file_is_detected_by_its_first_invalid_byte(tmp_path: Path, suffix: str) -> None:  # fault 23
    texts = {".csv": "text\ncafé\n", ".tsv": "text\ncafé\n", ".jsonl": '{"text": "café"}\n', ".txt": "café\n"}
    content = texts[suffix].encode("latin-1")
    path = written(tmp_path / f"a{suffix}", content)
    with pytest.raises(DataError, match="--encoding latin-1") as caught:
        list(read(path))
    line = content[: content.index(0xE9)].count(b"\n") + 1
    assert f"{path}:{line}: byte {content.index(0xE9)} is not valid utf-8" in str(caught.value)
    assert [row["text"] for row in good_rows(read(path, "latin-1"), "error", SkippedRows())] == ["café"]


def test_utf_16_file_is_detected_by_its_byte_order_mark(tmp_path: Path) -> None:  # fault 23
    path = written(tmp_path / "a.csv", "text,label\ncafé,x\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"byte 0 is not valid utf-8; .*--encoding utf-16$"):
        list(read(path))
    assert list(read(path, "utf-16")) == [{"text": "café", "label": "x"}]


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "utf_8"])
def test_utf_8_byte_order_mark_is_no_part_of_the_header(tmp_path: Path, name: str) -> None:  # fault 23
    path = written(tmp_path / "a.csv", "\ufefftext,label\ncafé,x\n")
    assert list(read(path, name)) == [{"text": "café", "label": "x"}]


@pytest.mark.parametrize("before", [(1 << 20) - 2, (1 << 20) - 1, 1 << 20, 3_000_001])
def test_wrong_byte_is_found_deep_in_a_file_and_across_the_pieces_it_is_read_in(tmp_path: Path, before: int) -> None:  # fault 23
    path = written(tmp_path / "a.txt", b"a" * before + b"\xe2\x82 and more")
    with pytest.raises(DataError, match=f"byte {before} is not valid utf-8"):
        list(read(path))


def test_character_cut_off_at_the_end_of_a_file_is_found(tmp_path: Path) -> None:  # fault 23
    path = written(tmp_path / "a.txt", "caf€".encode()[:-1])
    with pytest.raises(DataError, match="byte 3 is not valid utf-8"):
        list(read(path))


@pytest.mark.parametrize("name", ["utf-9", "base64", "undefined", "a\0"])
def test_unknown_encoding_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=re.escape(f"unknown encoding {name!r}")):
        list(read(written(tmp_path / "a.txt", "a"), name))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text,label\na,b\n"])
def test_broken_parquet_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path / "a.parquet", content)
    with pytest.raises(DataError, match="not a readable parquet file") as caught:
        list(read(path))
    assert "\n" not in str(caught.value)


def described(names: Any) -> dict[str, str]:
    """The schema metadata that `datasets` stores for a column of classes."""
    return {"huggingface": json.dumps({"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}})}


@pytest.mark.parametrize(("labels", "said"), [([1, 2], "class 2 has no name"), (["1", "2"], "class '1' has no name")])
def test_a_class_of_a_parquet_file_that_has_no_name_is_a_bad_row(tmp_path: Path, labels: list[Any], said: str) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pyarrow.table({"text": ["a", "b"], "label": labels}).replace_schema_metadata(described(["neg", "pos"])), path
    )
    bad = [row for row in read(path) if isinstance(row, BadRow)]
    assert bad[0].reason.startswith(f"{path}:{3 - len(bad)}: {said}")
    assert len(bad) == (1 if labels[0] == 1 else 2)


def test_a_parquet_file_whose_description_is_no_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["a"], "label": [1]}).replace_schema_metadata({"huggingface": "{"}), path)
    with pytest.raises(DataError, match="Expecting property name"):
        list(read(path))


def test_names_of_classes_that_are_none_leave_the_numbers(tmp_path: Path) -> None:
    for place, metadata in enumerate((described([1, 2]), described({}), {"huggingface": '{"info": []}'})):
        path = tmp_path / f"{place}.parquet"
        parquet.write_table(pyarrow.table({"text": ["a"], "label": [1]}).replace_schema_metadata(metadata), path)
        assert list(read(path)) == [{"text": "a", "label": 1}]


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table([pyarrow.array(["a"]), pyarrow.array(["b"])], names=["text", "text"]), path)
    with pytest.raises(DataError, match=r"a\.parquet: column text appears twice$"):
        list(read(path))


def test_a_parquet_file_with_a_flipped_byte_is_a_data_error_or_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.table({"text": ["one", "two"] * 20}), path)
    content, said = path.read_bytes(), []
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            list(read(path))
        except DataError as error:
            said.append(str(error))
    assert len(said) > len(content) / 4
    assert all(message.startswith(f"{path}: ") and "\n" not in message for message in said)


def test_unknown_suffix_lists_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown suffix '.dat'; known: .csv, .tsv, .*\.parquet.*specify the format"):
        list(read(written(tmp_path / "a.dat", "")))


def test_file_that_cannot_be_opened_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match=r"a\.csv: a folder, not a file"):
        list(read(tmp_path / "a.csv"))


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt"])
def test_ten_megabytes_in_one_cell_are_read(tmp_path: Path, suffix: str) -> None:  # fault 29
    cell = "long words " * 1_000_000
    content = {".csv": f'text\n"{cell}"\n', ".jsonl": json.dumps({"text": cell}), ".txt": cell}[suffix]
    (row,) = read(written(tmp_path / f"a{suffix}", content))
    assert row == {"text": cell}


def test_row_knows_its_position(tmp_path: Path) -> None:
    """By its line in a text file, where it begins; by its number in a parquet file, whatever the group that it is in."""
    written(tmp_path / "a.csv", 'text,label\n"two\nlines",x\n\nlast,y\n')
    written(tmp_path / "a.jsonl", '{"text": "one"}\n\n{"text": "three"}\n')
    written(tmp_path / "a.txt", "one\n\nthree\n")
    parquet.write_table(pyarrow.table({"text": ["one", "two", "three"]}), tmp_path / "a.parquet", row_group_size=2)
    for name, lines in {"a.csv": [2, 5], "a.jsonl": [1, 3], "a.txt": [1, 2, 3], "a.parquet": [1, 2, 3]}.items():
        rows = [row for row in read(tmp_path / name) if not isinstance(row, BadRow)]
        assert [place_of(row, "nowhere", 0) for row in rows] == [f"{tmp_path / name}:{line}" for line in lines]
    assert place_of({"text": "of the hub"}, "some/name", 7) == "some/name: row 7"


def test_skipped_rows_are_counted_with_one_reason() -> None:
    tally = SkippedRows()
    assert str(tally) == "no row skipped"
    tally.add("a.csv:3: bad")
    assert str(tally) == "1 row skipped, such as a.csv:3: bad"
    for _ in range(1233):
        tally.add("another")
    assert str(tally) == "1,234 rows skipped, such as a.csv:3: bad"
