"""Output that is redirected, or whose reader leaves early."""  # fault 37

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pytest

from mtlkit.runs.record import verify

if TYPE_CHECKING:
    from .conftest import Typed

LINES = 400  # four times the output that a pipe holds


@pytest.fixture
def many_lines(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"The cat number {number} sleeps.\n" for number in range(LINES)))
    return path


@pytest.fixture
def unread() -> Iterator[Callable[[], TextIO]]:
    """Pipes whose reader has left."""
    made: list[TextIO] = []

    def make() -> TextIO:
        reading, writing = os.pipe()
        os.close(reading)
        made.append(os.fdopen(writing, "w", encoding="utf-8"))
        return made[-1]

    yield make
    for file in made:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
        file.close()


def test_a_large_stream_piped_to_head_ends_quietly(mtl: Path, many_lines: Path) -> None:  # fault 37
    with many_lines.open() as texts:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "mtlkit", "embed", "-", "--model", mtl],
            stdin=texts,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert process.stdout is not None
    assert process.stderr is not None
    first = json.loads(process.stdout.readline())
    process.stdout.close()
    said = [line for line in process.stderr if not line.endswith((" ...\n", " texts/s\n"))]  # progress, on a busy machine
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert first["text"] == "The cat number 0 sleeps."
    assert said == [f"model: {mtl}, as specified\n"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["eval", "--confusion"],
        ["eval", "--json"],
        ["embed", "a", "b"],
        ["embed", "a", "--json"],
        ["predict", "a"],
        ["predict", "a", "--json"],
        ["embed", "a", "--output", "a.npy"],
        ["train-mtl", "--help"],
        ["--help"],
        ["--version"],
        [],
    ],
)
@pytest.mark.parametrize("terminal", [False, True])
def test_a_reader_that_left_is_no_error(  # fault 37
    typed: Typed,
    monkeypatch: pytest.MonkeyPatch,
    unread: Callable[[], TextIO],
    mtl: Path,
    tmp_path: Path,
    arguments: list[str],
    terminal: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", unread())
    model = ["--model", mtl] if arguments and arguments[0] in ("eval", "embed", "predict") else []
    answer = typed(*arguments, *model, terminal=terminal)
    assert answer.code == 0
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("terminal", [False, True])
def test_training_continues_when_nobody_reads_its_progress(  # fault 37
    typed: Typed,
    monkeypatch: pytest.MonkeyPatch,
    unread: Callable[[], TextIO],
    data: Path,
    mtl: Path,
    tmp_path: Path,
    terminal: bool,
) -> None:
    monkeypatch.setattr(sys, "stdout", unread())
    monkeypatch.setattr(sys, "stderr", unread())
    out = tmp_path / "run"
    answer = typed("train-mtl", "--task", f"kind={data / 'kind'}", "--init", mtl, "--epochs", 2, "--out", out, terminal=terminal)
    assert answer.code == 0
    assert verify(out).stage == "mtl"


def test_unread_error_keeps_its_exit_code(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, unread: Callable[[], TextIO], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stderr", unread())
    assert typed("embed", "a", "--model", tmp_path / "nowhere").code == 2


def test_redirected_output_holds_the_data_only(typed: Typed, mtl: Path) -> None:  # fault 37
    answer = typed("predict", "a cat", "a [/] saw", "--model", mtl)
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["text"] for row in rows] == ["a cat", "a [/] saw"]
    assert answer.out == answer.raw
    assert answer.err == f"model: {mtl}, as specified\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_survives_any_encoding_of_stdout(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, mtl: Path, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "out.json"
    with path.open("w", encoding=encoding) as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert typed("predict", "日本の猫 é", "--model", mtl).code == 0
    assert json.loads(path.read_text(encoding))["text"] == "日本の猫 é"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_tables_survive_a_narrow_encoding_of_stdout(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, mtl: Path, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "out.txt"
    with path.open("w", encoding=encoding) as file:
        monkeypatch.setattr(sys, "stdout", file)
        assert typed("embed", "日本の猫 é", "b", "--model", mtl, terminal=True).code == 0
    assert "cosine" in path.read_text(encoding)


SELDOM = (["embed", "a"], ["predict", "a", "--json"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is always full")
@pytest.mark.parametrize(
    "arguments",
    [["embed", "-"], *(pytest.param(words, marks=pytest.mark.slow) for words in SELDOM), ["--help"]],
)
def test_a_full_disk_behind_stdout_is_one_line(mtl: Path, many_lines: Path, arguments: list[str]) -> None:  # faults 5, 37
    model = ["--model", str(mtl)] if arguments[0] != "--help" else []
    with many_lines.open() as texts, Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "mtlkit", *arguments, *model],
            stdin=texts,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "mtlkit: no room left (No space left on device); make some and run this again"
    assert "Traceback" not in done.stderr
