from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow
import pytest
from numpy.typing import NDArray
from pyarrow import parquet
from safetensors.numpy import load_file

import mtlkit

if TYPE_CHECKING:
    from .conftest import Typed

TEXTS = ["The cat sleeps near the river.", "", "Une scie [/] cassée,\tsur l'établi 🪚", "NA", "A saw"]


@pytest.fixture(scope="module")
def wanted(runs: Path) -> NDArray[np.float32]:
    return mtlkit.load(runs / "mtl").embed(TEXTS)


def lines(text: str) -> tuple[list[str], NDArray[np.float32]]:
    rows = [json.loads(line) for line in text.splitlines()]
    assert all(list(row) == ["text", "vector"] for row in rows)
    return [row["text"] for row in rows], np.array([row["vector"] for row in rows], np.float32)


def test_arguments_become_json_lines(typed: Typed, mtl: Path, wanted: NDArray[np.float32]) -> None:
    answer = typed("embed", *TEXTS, "--model", mtl)
    texts, vectors = lines(answer.out)
    assert (answer.code, texts) == (0, TEXTS)
    np.testing.assert_allclose(vectors, wanted, atol=1e-5)


def test_standard_input_has_a_text_a_line(typed: Typed, mtl: Path, wanted: NDArray[np.float32]) -> None:
    texts, vectors = lines(typed("embed", "-", "--model", mtl, stdin="\n".join(TEXTS).encode()).out)
    assert texts == TEXTS  # the blank line has a vector, too, so that lines keep their numbers
    np.testing.assert_allclose(vectors, wanted, atol=1e-5)


def test_no_text_at_all_is_no_vector(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    answer = typed("embed", "-", "--model", mtl)
    assert (answer.code, answer.out) == (0, "")
    assert json.loads(typed("embed", "-", "--model", mtl, "--json").out)["vectors"] == []
    assert typed("embed", "-", "--model", mtl, "--output", tmp_path / "none.npy").code == 0
    assert np.load(tmp_path / "none.npy").shape == (0, 32)


def test_json_is_one_document(typed: Typed, mtl: Path, wanted: NDArray[np.float32]) -> None:
    document = json.loads(typed("embed", *TEXTS, "--model", mtl, "--json").out)
    assert list(document) == ["model", "dim", "vectors"]
    assert (document["model"], document["dim"]) == (str(mtl), 32)
    assert all(list(row) == ["text", "vector"] for row in document["vectors"])
    assert [row["text"] for row in document["vectors"]] == TEXTS
    np.testing.assert_allclose([row["vector"] for row in document["vectors"]], wanted, atol=1e-5)


def test_normalize(typed: Typed, mtl: Path, wanted: NDArray[np.float32]) -> None:
    _, vectors = lines(typed("embed", *TEXTS, "--model", mtl, "--normalize").out)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(vectors, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-5)


def write_input(path: Path) -> Path:
    """The texts as column `body` of a file."""
    rows = [{"id": str(number), "body": text} for number, text in enumerate(TEXTS)]
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["id", "body"])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(f"{text}\n" for text in TEXTS), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet", ".txt"])
def test_files_are_read_by_column(typed: Typed, mtl: Path, tmp_path: Path, wanted: NDArray[np.float32], suffix: str) -> None:
    path = write_input(tmp_path / f"in{suffix}")
    column = [] if suffix == ".txt" else ["--column", "body"]
    answer = typed("embed", "--input", path, *column, "--model", mtl)
    assert answer.code == 0, answer.err
    texts, vectors = lines(answer.out)
    assert texts == TEXTS
    np.testing.assert_allclose(vectors, wanted, atol=1e-5)


def test_columns_are_found_by_name_and_joined_by_plus(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    path = write_input(tmp_path / "in.jsonl")
    assert lines(typed("embed", "--input", path, "--model", mtl).out)[0] == TEXTS
    joined, _ = lines(typed("embed", "--input", path, "--column", "id+body", "--model", mtl).out)
    assert joined[-1] == "4 A saw"


def read_output(path: Path) -> NDArray[np.float32]:
    match path.suffix:
        case ".npy":
            array: NDArray[np.float32] = np.load(path)
            return array
        case ".safetensors":
            return load_file(path)["vectors"]
        case ".parquet":
            table = parquet.read_table(path)
            assert table.column("text").to_pylist() == TEXTS
            return np.array(table.column("vector").to_pylist(), np.float32)
    texts, vectors = lines(path.read_text(encoding="utf-8"))
    assert texts == TEXTS
    return vectors


@pytest.mark.parametrize("suffix", [".npy", ".jsonl", ".parquet", ".safetensors"])
@pytest.mark.parametrize("as_json", [False, True])
def test_vectors_are_written_to_files(
    typed: Typed, mtl: Path, tmp_path: Path, wanted: NDArray[np.float32], suffix: str, as_json: bool
) -> None:
    out = tmp_path / f"out{suffix}"
    answer = typed("embed", *TEXTS, "--model", mtl, "-o", out, *(["--json"] if as_json else []))
    assert answer.code == 0, answer.err
    if as_json:
        assert json.loads(answer.out) == {"model": str(mtl), "dim": 32, "output": str(out), "rows": 5}
    else:
        assert answer.out == f"{out}: 5 vectors of 32\n"
    vectors = read_output(out)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, wanted, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_a_file_that_cannot_be_finished_leaves_the_old_one(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.npy"
    source.write_text('text\nfirst\n"never closed\n')
    out.write_bytes(b"old")
    answer = typed("embed", "--input", source, "--output", out, "--model", mtl, "--overwrite")
    assert (answer.code, answer.out) == (3, "")
    assert f"mtlkit: {source}:3: a quote opened here is never closed; " in answer.err  # fault 19; no option skips it here
    assert answer.err.endswith("specify quoting=no\n")
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.npy"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "no texts; give some as arguments, '-' for standard input, or a file with --input"),
        (["a", "--input", "x.csv"], 2, "texts and --input are given; use one of them"),
        (["a", "--output", "a.xyz"], 2, "suffix '.xyz' is not one of .npy, .safetensors, .jsonl, .csv, .parquet"),
        (["a", "--output", "none/a.npy"], 2, "existing folder"),
        (["--input", "none.csv"], 3, "none.csv: no such file"),
        (["--input", "."], 3, "file in this folder"),
        (["a\udcffb"], 2, r"text 'a\udcffb' contains bytes that are not UTF-8"),
    ],
)
def test_impossible_requests_are_one_line(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, mtl: Path, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = typed("embed", *arguments, "--model", mtl)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.err


def test_a_wrong_column_lists_those_there_are(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 25
    path = write_input(tmp_path / "in.csv")
    answer = typed("embed", "--input", path, "--column", "bdy", "--model", mtl)
    assert answer.code == 3
    assert answer.err.endswith(f"mtlkit: column 'bdy' not found in {path}; columns: id, body; did you mean 'body'?\n")


def test_ambiguous_column_names_the_option_to_set(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("eins,zwei\na,b\n")
    answer = typed("embed", "--input", path, "--model", mtl)
    assert answer.code == 3
    last = answer.err.splitlines()[-1]
    assert last.startswith(f"mtlkit: column 'text' not found in {path}; the model reads its text from 'text'")
    assert "columns: eins, zwei; specify --column NAME" in last


def test_standard_input_of_another_encoding(typed: Typed, mtl: Path) -> None:  # fault 23
    answer = typed("embed", "-", "--model", mtl, stdin=b"plain\ncaf\xe9\n")
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.endswith("standard input:2: not utf-8; specify the encoding, such as --encoding latin-1\n")
    texts, _ = lines(typed("embed", "-", "--model", mtl, "--encoding", "latin-1", stdin=b"plain\ncaf\xe9\n").out)
    assert texts == ["plain", "café"]
    assert lines(typed("embed", "-", "--model", mtl, stdin=b"\xef\xbb\xbfwith a mark\n").out)[0] == ["with a mark"]
    assert typed("embed", "-", "--model", mtl, "--encoding", "klingon", stdin=b"a\n").code == 3


def test_the_view_of_a_terminal(typed: Typed, mtl: Path) -> None:
    long = "a text that is far too long to be shown in the whole of its length on one line of a terminal"
    texts = ["[red]a[/red] [/]", "esc\x1b[2J \x1b]8;;http://a\x1b\\b", long]  # fault 30
    answer = typed("embed", *texts, "--model", mtl, terminal=True, width=80)
    assert answer.code == 0
    assert answer.widest <= 80
    assert "\x1b" not in answer.out
    assert "[red]a[/red] [/]" in answer.out
    assert all(title in answer.out for title in ("text ", "dimension", "norm", "first values", "cosine"))
    assert answer.out.count("1.000") >= 3  # of each text with itself
    assert "cosine" not in typed("embed", "one", "--model", mtl, terminal=True).out


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_real_terminal(mtl: Path) -> None:  # fault 30
    import pty

    master, slave = pty.openpty()
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "mtlkit",
        "embed",
        "[red]a[/red]",
        "link \x1b]8;;http://a\x1b\\",
        "--model",
        mtl,
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # Linux says so when the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(timeout=60) == 0, shown
    text = shown.decode()
    assert "[red]a[/red]" in text
    assert "\N{REPLACEMENT CHARACTER}]8;;http://a" in text
    assert "\x1b]8" not in text
    assert "cosine" in text


@pytest.mark.parametrize("command", [["embed"], ["embed", "--output", "a.npy"], ["embed", "--json"], ["predict"]])
def test_ten_megabytes_in_one_cell_are_truncated_and_reported(  # fault 29
    typed: Typed, monkeypatch: pytest.MonkeyPatch, mtl: Path, tmp_path: Path, command: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text\nshort\n" + "The dog sleeps. " * 625_000 + "\n" + "x" * 10_000_000 + "\n")
    answer = typed(*command, "--input", "a.csv", "--model", mtl)
    assert answer.code == 0, answer.err
    assert answer.err == f"model: {mtl}, as specified\n2 texts were cut to 32 tokens (head-tail), as they did not fit\n"


def test_base_is_used_as_a_sentence_encoder_only_on_request(typed: Typed, runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "pretrain", tmp_path / "pretrain")
    first = typed("embed", "--runs", tmp_path, "a text").err.splitlines()[0]
    assert first.startswith("model: mini")
    assert "train a sentence encoder with: mtlkit train-sentence" in first
    asked = typed("embed", "--model", tmp_path / "pretrain", "a text").err.splitlines()[0]
    assert f"a base, not a sentence encoder; train one with: mtlkit train-sentence --init {tmp_path / 'pretrain'}" in asked
    shutil.copytree(runs / "sentence", tmp_path / "sentence")
    assert typed("embed", "--runs", tmp_path, "a text").err.splitlines()[0].startswith(f"model: {tmp_path / 'sentence'}, ")


def test_a_base_is_measured_as_one(typed: Typed, runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "pretrain", tmp_path / "pretrain")
    answer = typed("eval", "--runs", tmp_path)
    assert answer.err.splitlines()[0].startswith(f"model: {tmp_path / 'pretrain'}, ")
    assert "perplexity" in answer.out
