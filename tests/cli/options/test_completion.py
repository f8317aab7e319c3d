"""Completion as a shell requests it, with the words in the environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtlkit.cli.options.completion import joined_words

if TYPE_CHECKING:
    from cli.conftest import Typed

Shell = Callable[..., list[str]]

SCRIPT = """
import sys
from mtlkit.__main__ import main
sys.argv = ["mtlkit"]
try:
    main()
finally:
    heavy = {"torch", "datasets", "transformers"} & set(sys.modules)
    assert not heavy, heavy
"""


@pytest.fixture(scope="module")
def folder(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/mtl (tasks kind and state), runs/sentence, an unfinished training and things that are no runs."""
    place = tmp_path_factory.mktemp("completion")
    for name in ("mtl", "sentence"):
        shutil.copytree(runs / name, place / "runs" / name)
    (place / "runs" / "unfinished" / "state").mkdir(parents=True)
    (place / "runs" / "notes").mkdir()
    (place / "data").mkdir()
    (place / "data" / "train.csv").write_text("text,label\n")
    return place


def environment_of(words: tuple[str, ...], shell: str = "bash") -> dict[str, str]:
    """The environment that a shell sets to complete the last word."""
    typed = ["mtlkit", *words]
    asked = {"_MTLKIT_COMPLETE": f"complete_{shell}", "COMP_WORDS": "\n".join(typed)}
    return asked | {"COMP_CWORD": str(len(words)), "_TYPER_COMPLETE_ARGS": " ".join(typed)}


@pytest.fixture
def bash(folder: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """`bash("train-mtl", "--freeze", "head", ":", "k")` returns the completions of the last word, as bash splits words."""

    def complete(*words: str, shell: str = "bash") -> list[str]:
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys.modules["__main__"], "__package__", None)  # else the command's name is "python -m pytest"
        for name, value in environment_of(words, shell).items():
            monkeypatch.setenv(name, value)
        answer = typed()
        assert answer.err == ""
        return answer.out.splitlines()

    return complete


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("train-mtl", "--freeze", "head", ":", ""), ["kind", "state"]),  # reads runs
        (("train-mtl", "--balance", "torchjd", ":", "mg"), ["mgda"]),  # reads a registry
    ],
)
def test_completion_imports_nothing_heavy(folder: Path, words: tuple[str, ...], offered: list[str]) -> None:
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    environment = {**os.environ, **environment_of(words)}
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd=folder)
    assert process.stderr == ""
    assert process.stdout.splitlines() == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("train-mtl", "--schedule", ""), ["round-robin", "joint", "sequential", "proportional", "temperature:"]),
        (("train-mtl", "--schedule", "jo"), ["joint"]),
        (("train-mtl", "--balance", "un"), ["uncertainty"]),
        (("train-mtl", "--balance", "torchjd", ":", "mg"), ["mgda"]),
        (("train-mtl", "--guard", ""), ["l2sp", "ewc", "lwf"]),
        (("train-mtl", "--precision", "b"), ["bf16"]),
        (("export", "--format", "o"), ["onnx"]),
        (("embed", "--model", "runs/m"), ["runs/mtl"]),
        (("embed", "--model", ""), ["runs/mtl", "runs/sentence", "runs/unfinished", "mini"]),
        (("train-mtl", "--init", "s"), ["scratch"]),
        (("train-mtl", "--resume", "runs/u"), ["runs/unfinished"]),
        (("info", "runs/s"), ["runs/sentence"]),
        (("curves", ""), ["runs/mtl", "runs/sentence", "runs/unfinished", "mini"]),
        (("predict", "--task", ""), ["kind", "state"]),
        (("predict", "--model", "mini", "--task", ""), []),
        (("train-mtl", "--init", "runs/mtl", "--watch", "k"), ["kind"]),
        (("train-mtl", "--freeze", "b"), ["backbone", "bias"]),
        (("train-mtl", "--freeze", "head", ":", ""), ["kind", "state"]),
        (("train-mtl", "--init", "mini", "--task", "topic", "=", "x.csv", "--freeze", "backbone,head", ":", ""), ["topic"]),
        (("train-mtl", "--freeze", "backbone,-head", ":", "s"), ["state"]),
        (("train-mtl", "--task", "kind", "=", "data/t"), ["data/train.csv"]),
        (("train-mtl", "--task", "to"), ["topic=sample:topic"]),
        (("eval", "--sp"), ["--split"]),
        (("che",), ["check-data"]),
    ],
)
def test_bash_completion(bash: Shell, words: tuple[str, ...], offered: list[str]) -> None:
    assert bash(*words) == offered


def test_zsh_completion_keeps_whole_words(bash: Shell) -> None:
    (line,) = bash("train-mtl", "--freeze", "head:k", shell="zsh")
    assert "head" in line
    assert "kind" in line


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["mtlkit", "a"], ["mtlkit", "a"]),
        (["--freeze", "head", ":", "t"], ["--freeze", "head:t"]),
        (["--freeze", "head", ":"], ["--freeze", "head:"]),
        (["--task", "a", "=", "sample", ":", "t"], ["--task", "a=sample:t"]),
        (["--schedule", "=", "jo"], ["--schedule=jo"]),
    ],
)
def test_split_words_are_joined(words: list[str], joined: list[str]) -> None:
    assert joined_words(words) == (joined, joined[-1])


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_installed_completion_completes_in_bash(folder: Path, tmp_path: Path) -> None:
    """As typed: one shell installs it, the next one completes."""
    program = tmp_path / "bin" / "mtlkit"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom mtlkit.__main__ import main\n\nmain()\n")
    program.chmod(0o755)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}:{os.environ['PATH']}"}

    def bash(script: str) -> str:
        command = ["bash", "--norc", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, cwd=folder, check=True).stdout

    assert "bash" in bash("mtlkit --install-completion; :")
    assert ".bash_completions/mtlkit.sh" in (tmp_path / ".bashrc").read_text()
    asked = "COMP_WORDS=(mtlkit predict --model runs/m); COMP_CWORD=3; _mtlkit_completion mtlkit; echo ${COMPREPLY[@]}"
    assert bash(f"source {tmp_path}/.bash_completions/mtlkit.sh; {asked}") == "runs/mtl\n"
