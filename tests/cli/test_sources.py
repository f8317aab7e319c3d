"""Sources as a user types them: decisions are reported and saved in the run; ambiguous ones are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow
import pytest
from pyarrow import parquet

if TYPE_CHECKING:
    from .conftest import Typed

TINY = ("--init", "scratch", "--layers", 1, "--dim", 16, "--heads", 1, "--vocab-size", 300, "--epochs", 1)
ROWS = "".join(f"a sentence of some words, number {n};{'ab'[n % 2]}\n" for n in range(40))


def test_files_and_delimiter_are_shown_and_recorded(typed: Typed, tmp_path: Path) -> None:  # fault 54
    for name in ("news_Train.csv", "news_Test.csv", "notes.csv"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text("text;label\n" + ROWS)
    task = f"topic={tmp_path / 'data'}:label=label,limit=30"
    done = typed("train-mtl", "--task", task, "--out", tmp_path / "run", *TINY)
    assert done.code == 0, done.err
    assert "train: news_Train.csv; test: news_Test.csv" in done.err
    assert "delimiter ';'" in done.err
    assert "not used: notes.csv" in done.err
    record = json.loads((tmp_path / "run" / "config.json").read_text())["sources"]["topic"]
    assert record["files"] == {"train": ["news_Train.csv"], "test": ["news_Test.csv"]}
    assert (record["format"], record["delimiter"], record["encoding"]) == ("csv", ";", "utf-8")
    checked = typed("check-data", "--task", task)
    assert "news_Train.csv" in checked.err
    assert "not used: notes.csv" in checked.err


@pytest.mark.parametrize("command", ["embed", "predict"])
def test_a_table_that_could_be_read_in_two_ways_is_not_embedded(typed: Typed, tmp_path: Path, command: str) -> None:  # fault 54
    (tmp_path / "a.csv").write_text("text;label\n" + ROWS.replace("some", "some;"))
    refused = typed(command, "--model", "mini", "--input", tmp_path / "a.csv")
    assert (refused.code, refused.out) == (3, "")
    assert "specify delimiter=semicolon or delimiter=comma" in refused.err


def test_input_summary_is_shown(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text;label\nhello;a\n")
    done = typed("embed", "--model", "mini", "--input", tmp_path / "a.csv")
    assert "delimiter ';'" in done.err
    assert json.loads(done.out)["text"] == "hello"


def test_chosen_column_is_shown_if_there_was_a_choice(typed: Typed, tmp_path: Path) -> None:  # fault 54
    (tmp_path / "a.csv").write_text("question,id,label\nwhy?,1,a\n")
    (tmp_path / "b.csv").write_text("text\nhello\n")
    said = typed("embed", "--model", "mini", "--input", tmp_path / "a.csv")
    assert ": text=question; not used: id, label; csv" in said.err
    assert json.loads(said.out)["text"] == "why?"
    assert "not used" not in typed("embed", "--model", "mini", "--input", tmp_path / "a.csv", "--column", "question").err
    assert "text=text" not in typed("embed", "--model", "mini", "--input", tmp_path / "b.csv").err


def test_lines_that_look_like_a_table_are_mentioned_by_every_command(typed: Typed, tmp_path: Path) -> None:  # fault 54
    path = tmp_path / "a.txt"
    path.write_text("text\tlabel\n" + ROWS.replace(";", "\t"))
    embedded = typed("embed", "--model", "mini", "--input", path, "--output", tmp_path / "a.npy")
    checked = typed("check-data", "--text", path)
    pretrained = typed("pretrain", path, "--out", tmp_path / "run", *TINY[2:], "--context", 16)
    for answer in (embedded, checked, pretrained):
        assert answer.code == 0, answer.err
        assert "if this is a table, specify format=tsv" in answer.err


@pytest.mark.parametrize("keys", [":format=csv", "?format=csv", ""])
def test_an_input_with_keys_is_not_overwritten(typed: Typed, tmp_path: Path, keys: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("text\nhello\n" if keys else '{"text": "hello"}')
    before = path.read_bytes()
    for source in (f"{path}{keys}", f"{tmp_path}/[a].jsonl{keys}"):
        refused = typed("embed", "--model", "mini", "--input", source, "--output", path, "--overwrite")
        assert refused.code == 2, refused.err
        assert path.read_bytes() == before


def test_line_ends_of_a_pipe_are_no_part_of_the_texts(typed: Typed, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello\r\nworld\r\n")
    from_file = typed("embed", "--model", "mini", "--input", tmp_path / "a.txt")
    piped = typed("embed", "--model", "mini", "-", stdin=b"hello\r\nworld\r\n")
    assert piped.out == from_file.out != ""


def test_a_dictionary_bomb_is_one_line(typed: Typed, tmp_path: Path) -> None:  # fault 49
    values = pyarrow.DictionaryArray.from_arrays(pyarrow.array([0] * 20_000, pyarrow.int32()), pyarrow.array(["word " * 200_000]))
    parquet.write_table(pyarrow.table({"text": values, "label": ["a", "b"] * 10_000}), tmp_path / "a.parquet")
    task = f"t={tmp_path / 'a.parquet'}:limit=10"
    for arguments in (
        ("embed", "--model", "mini", "--input", tmp_path / "a.parquet"),
        ("check-data", "--task", task),
        ("train-mtl", "--task", task, "--out", tmp_path / "run", *TINY),
    ):
        refused = typed(*arguments)
        assert refused.code == 3
        assert "real text does not" in refused.err.splitlines()[-1]


def test_what_is_no_file_is_one_line(typed: Typed, tmp_path: Path) -> None:  # fault 46
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    (tmp_path / "gone.csv").symlink_to("nowhere")
    for name in ("pipe.csv", "zero.csv", "gone.csv"):
        for arguments in (
            ("check-data", "--task", f"t={tmp_path / name}"),
            ("embed", "--model", "mini", "--input", tmp_path / name),
        ):
            refused = typed(*arguments)
            assert refused.code == 3
            assert f"{name}: a" in refused.err.splitlines()[-1]
