"""Every option of every command with invalid values: one line and a documented exit code, or success."""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import pytest
from support import COMMANDS, write

if TYPE_CHECKING:
    from .conftest import Typed

DOCUMENTED = {0, 2, 3, 4, 6}
MANY = "9" * 5000
LONGEST_MESSAGE = 1000
DEEP = "re:" + "(" * 3000 + ")" * 3000
NUMBERS = ["-1", "0", "-" + "9" * 30, "9" * 30, MANY, "", "x", "1e3", "0x10", "٣", "1_000", "nan", "-inf", "1e400", "--", "1.5"]
TEXTS = [
    *("", " ", ",", ":", "=", "-", "--", "@", "?", "x" * 5000, MANY, "-9", "[/]", "\x1b[2J", "🦆", "\u202e", "%s", "$HOME"),
    *("~nobody-of-that-name/x", "../..", "/", "/dev/zero", "/dev/null/x", "a/..", "a/b.git", "a/b--c", "mlp:" + "1," * 5000),
    *(DEEP, "t=", "t=/dev/zero", "=x", f"t=missing.csv?limit={MANY}", "t=tiny.csv?label=", "t=tiny.csv?text=+", "s3://"),
    *(f"steps:{MANY}", f"layers:{MANY}", "head:", "l2sp:nan", "weights:t=nan", "weights:t=inf", "temperature:1e400"),
    *("top-down:every=0", "mini?x=y", "hf://nobody/nothing"),
]  # fmt: skip
PATHS = [
    *("", " ", "/", ".", "..", "x" * 5000, "/dev/zero", "/dev/full", "/dev/null/x", "~nobody-of-that-name/x"),
    *("tiny.csv", "tiny.csv/x", "pipe", "gone"),
]  # fmt: skip


def nonsense(hint: Any) -> list[str]:
    """Values for an option of this type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return ["", "nothing", "Auto", MANY, "[/]", arguments[0][:-1]]
    if origin is list or type(None) in arguments:
        return nonsense(arguments[0])
    return {int: NUMBERS, float: NUMBERS, str: TEXTS, Path: PATHS}[hint]


def options_of(command: str) -> Iterator[tuple[str, list[str]]]:
    """Every option of a command that takes a value, with values."""
    hints = typing.get_type_hints(COMMANDS[command])
    for item in fields(COMMANDS[command]):
        declared = item.metadata.get("option")
        if declared is not None and bool not in (hints[item.name], *typing.get_args(hints[item.name])):
            yield ("" if declared.positional else f"--{item.name.replace('_', '-')}", nonsense(hints[item.name]))


@pytest.fixture
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a table, a pipe without a writer, and another home folder."""
    write(tmp_path / "tiny.csv", [("text", "label"), *((f"text number {row}", "ab"[row % 2]) for row in range(24))])
    write(tmp_path / "pairs.csv", [("anchor", "positive"), *((f"text {row}", f"number {row}") for row in range(8))])
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mtlkit.recipes.serve.Opened.run", lambda opened, _ready: opened.listening.close())
    return tmp_path


@pytest.fixture(scope="session")
def usual(runs: Path) -> dict[str, list[object]]:
    """Arguments with which a command works, quickly."""
    shape = ["--layers", 1, "--dim", 8, "--heads", 1, "--vocab-size", 300, "--epochs", 1, "--out", "run", "--overwrite"]
    fresh = [*shape, "--init", "scratch", "--max-length", 16, "--task", "t=tiny.csv"]
    model = ["--model", runs / "mtl"]
    return {
        "check-data": ["--task", "t=tiny.csv"],
        "pretrain": ["tiny.csv", *shape, "--context", 8],
        "train-sentence": fresh,
        "train-mtl": fresh,
        "join": ["parts"],
        "mine": ["pairs.csv", *model, "--output", "mined.csv", "--overwrite", "--margin", 0],
        "embed": [*model, "a text"],
        "eval": [*model, "--task", "kind=tiny.csv"],
        "predict": [*model, "a text"],
        "heads": [runs / "mtl", "--drop", "kind", "--overwrite"],
        "export": [runs / "mtl", "out", "--format", "compact", "--overwrite"],
        "serve": [runs / "mtl", "--port", 0],
        "curves": [runs / "mtl"],
        "report": [runs / "mtl", "--split", "none", "--output", "r.md", "--overwrite"],
        "runs": [runs],
        "info": [runs / "mtl"],
    }


def check(typed: Typed, arguments: list[object]) -> None:
    shown = " ".join(str(argument)[:60] for argument in arguments)
    try:
        answer = typed(*arguments)
    except BaseException as error:
        raise AssertionError(f"mtlkit {shown}: {type(error).__name__} {str(error)[:200]}") from error
    assert answer.code in DOCUMENTED, f"mtlkit {shown}: exit code {answer.code}, {answer.err[-300:]}"
    if answer.code:
        line = answer.err.splitlines()[-1]
        assert line.startswith("mtlkit: "), f"mtlkit {shown}: {answer.err[-300:]}"
        assert answer.err.count("mtlkit: ") == 1, shown
        assert len(line) < LONGEST_MESSAGE, f"mtlkit {shown}: {len(line)} letters"


def arguments_with(command: str, option: str, value: str, usual: dict[str, list[object]]) -> list[object]:
    """The usual arguments with one more; a positional one replaces theirs."""
    arguments = usual[command]
    if option:
        return [command, *arguments, f"{option}={value}"]
    options = [one for one in range(len(arguments)) if str(arguments[one]).startswith("--")]
    return [
        command,
        *(arguments[options[0] :] if options and command not in ("embed", "predict") else arguments[:2]),
        "--",
        value,
    ]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("predict", "a text"), "--task=kind,state"),
        (("eval",), "--task=kind,state"),
        (("eval",), "--task=kind,state=tiny.csv"),
        (("train-mtl", "--init", "mini"), "--task=sample:topic,sample:sentiment"),
        (("train-mtl", "--task", "t=tiny.csv"), "--watch=kind,state"),
        (("train-mtl", "--task", "t=tiny.csv", "--watch", "kind"), "--rehearse=kind,state"),
        (("train-mtl", "--task", "t=tiny.csv"), "--test=kind,state"),
        (("train-mtl", "--task", "t=tiny.csv"), "--guard=ewc,lwf"),
        (("train-mtl", "--task", "t=tiny.csv"), "--language=en,de"),
        (("heads",), "--drop=kind,state"),
        (("runs",), "--delete=a,b"),
    ],
)
def test_names_with_commas_between_them_are_to_be_given_one_by_one(
    command: tuple[str, ...], words: str, typed: Typed, work_folder: Path, runs: Path
) -> None:
    model = {"predict": "--model", "eval": "--model", "train-mtl": "--init"}.get(command[0])
    run = [] if command[0] == "runs" or "mini" in command else [model, runs / "mtl"] if model else [runs / "mtl"]
    answer = typed(*command, *run, words)
    assert answer.code == 2
    assert f"for several, repeat {words.partition('=')[0]}" in " ".join(answer.err.split())


@pytest.mark.parametrize(
    "command", [("check-data", "--text"), ("check-data", "--task", "t="), ("pretrain", "--"), ("report", "--split", "none", "--")]
)
def test_files_with_commas_between_them_are_to_be_given_one_by_one(
    command: tuple[str, ...], typed: Typed, work_folder: Path, runs: Path
) -> None:
    *words, last = command
    value = f"{runs / 'mtl'},{runs / 'sentence'}" if command[0] == "report" else "tiny.csv,other.csv"
    answer = typed(*words, f"{last}{value}") if last.endswith("=") else typed(*command, value)
    assert answer.code in (2, 3)
    assert "one" in answer.err
    assert "spaces between" in " ".join(answer.err.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_some_nonsense_is_one_line(typed: Typed, work_folder: Path, usual: dict[str, list[object]], command: str) -> None:
    """A value for each option, always the same ones; all values are tried by the slow test below."""
    for option, values in options_of(command):
        value = Random(f"{command} {option}").choice(values)
        check(typed, arguments_with(command, option, value, usual))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_all_nonsense_is_one_line(typed: Typed, work_folder: Path, usual: dict[str, list[object]], command: str) -> None:
    wrong = []
    for option, values in options_of(command):
        for value in values:
            try:
                check(typed, arguments_with(command, option, value, usual))
            except AssertionError as error:
                wrong.append(str(error))
    assert not wrong, "\n".join(wrong)
