"""Data that is not as it should be, as a user of the command line meets it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtlkit.runs.record import verify

if TYPE_CHECKING:
    from .conftest import Typed

WORDS = ["cat", "dog", "horse", "saw", "drill", "lathe"]
TINY = ("--init", "scratch", "--layers", 1, "--dim", 16, "--heads", 1, "--vocab-size", 300, "--epochs", 1)
HOSTILE = ["[/]", "[red]r[/red]", "esc\x1b[2J", "\x1b]8;;http://a\x1b\\b\x1b]8;;\x1b\\", "[link=http://a]x[/link]"]
TAKEN = re.compile(r"\x1b(\[2J|\]8)")  # what the data would do to a terminal; styles and the live view have other sequences


def sentences(labels: list[str]) -> list[tuple[str, str]]:
    """Ten rows a label, each text its own."""
    return [(f"The {WORDS[n % 6]} café number {n} lies here.", label) for n, label in enumerate(labels * 10)]


def written(
    path: Path, rows: list[tuple[str, str]], encoding: str = "utf-8", header: tuple[str, str] = ("text", "label")
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_1_and_01_and_1_0_are_three_classes(typed: Typed, tmp_path: Path) -> None:  # fault 22
    path = written(tmp_path / "a.csv", sentences(["1", "01", "1.0"]))
    done = typed("train-mtl", "--task", f"number={path}", "--out", tmp_path / "run", *TINY)
    assert done.code == 0, done.err
    assert "3 classes" in done.err
    evaluated = json.loads(typed("eval", "--model", tmp_path / "run", "--task", f"number={path}", "--json").out)
    assert sorted(evaluated["tasks"]["number"]["labels"]) == ["01", "1", "1.0"]
    assert {label: row["support"] for label, row in evaluated["tasks"]["number"]["per_class"].items()} == dict.fromkeys(
        ("1", "01", "1.0"), 10
    )


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_the_encoding_that_is_offered_works(typed: Typed, tmp_path: Path, encoding: str) -> None:  # fault 23
    path = written(tmp_path / "a.csv", sentences(["one", "two"]), encoding)
    command = ("train-mtl", "--task", f"kind={path}", "--out", tmp_path / "run", *TINY)
    refused = typed(*command)
    assert (refused.code, refused.out) == (3, "")
    said = re.search(
        r"a\.csv(?::\d+)?: byte (\d+) is not valid utf-8; specify the encoding, such as --encoding ([\w-]+)\n$", refused.err
    )
    assert said
    assert path.read_bytes()[int(said[1])] >= 0x80
    assert said[2] == encoding
    done = typed(*command, "--encoding", said[2])
    assert done.code == 0, done.err


def test_a_byte_order_mark_does_no_harm(typed: Typed, tmp_path: Path) -> None:  # fault 23
    path = written(tmp_path / "a.csv", sentences(["one", "two"]), "utf-8-sig")
    assert typed("train-mtl", "--task", f"kind={path}", "--out", tmp_path / "run", *TINY).code == 0
    assert verify(tmp_path / "run").data["kind"]["train"]["rows"] == 18


def test_nothing_that_data_holds_gets_at_the_terminal(typed: Typed, tmp_path: Path) -> None:  # fault 30
    hostile = [(f"{text} {label}", label) for text, label in sentences(HOSTILE)]
    folder = tmp_path / "data"
    written(folder / "train.csv", hostile)
    written(folder / "test.csv", [*hostile[:20], ("new", "new\x1b]8;;http://a\x1b\\")])
    run = tmp_path / "run"
    task = f"kind={folder}"
    for command in (
        ("train-mtl", "--task", task, "--out", run, *TINY),
        ("eval", "--model", run, "--confusion"),
        ("check-data", "--task", task),
        ("info", run),
        ("curves", run),
        ("predict", "--model", run, *HOSTILE),
        ("embed", "--model", run, *HOSTILE),
    ):
        answer = typed(*command, terminal=True)
        assert answer.code == 0, (command, answer.err)
        assert not TAKEN.search(answer.raw + answer.err), command
        if command[0] in ("predict", "embed"):
            assert all(text.replace("\x1b", "\N{REPLACEMENT CHARACTER}")[:8] in answer.out for text in HOSTILE)


def test_no_error_gets_at_the_terminal(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 30
    name = "esc\x1b[2J[/]\x1b]8;;http:"
    path = written(tmp_path / f"{name}.csv", [("a", "b")], header=(name, "other"))
    short = tmp_path / "short.csv"
    short.write_text("text,label\none\n")
    for command in (
        ("train-mtl", "--task", f"kind={path}", "--out", tmp_path / "run", *TINY),
        ("train-mtl", "--task", f"kind={path}?label={name}x", "--out", tmp_path / "run", *TINY),
        ("train-mtl", "--task", f"{name}={short}", "--out", tmp_path / "run"),
        ("train-mtl", "--task", f"kind={short}", "--freeze", name, "--out", tmp_path / "run"),
        ("train-mtl", "--task", f"kind={short}", "--encoding", name, "--out", tmp_path / "run", *TINY),
        ("train-mtl", "--config", tmp_path / name),
        ("predict", "a", "--model", mtl, "--task", name),
        ("predict", "a", "--model", tmp_path / name),
        ("embed", "--input", path, "--column", name + "x", "--model", mtl),
        ("info", tmp_path / name),
        ("curves", tmp_path / name),
    ):
        answer = typed(*command, terminal=True)
        assert answer.code in (2, 3, 4), (command, answer.err)
        assert answer.out == ""
        assert not TAKEN.search(answer.raw + answer.err), command
