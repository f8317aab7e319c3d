from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtlkit import __version__
from mtlkit.errors import DataError, DivergedError, IntegrityError, MtlkitError, NetworkError, UsageError
from mtlkit.recipes.inputs import open_model

if TYPE_CHECKING:
    from .conftest import Typed

COMMANDS = ("pretrain", "train-sentence", "train-mtl", "embed", "eval", "predict", "curves", "info")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command(typed: Typed, command: str) -> None:
    answer = typed(command, "--help", width=80)
    assert (answer.code, answer.err) == (0, "")
    assert f"mtlkit {command}" in answer.out
    assert "Examples" in answer.out
    assert "--config" in answer.out
    assert "--json" in answer.out
    assert answer.widest <= 80
    assert typed(command, "-h", width=80).out == answer.out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_lists_the_commands(typed: Typed, arguments: list[str]) -> None:
    answer = typed(*arguments)
    assert (answer.code, answer.err) == (0, "")
    assert all(command in answer.out for command in COMMANDS)


SELDOM = [pytest.param(name, marks=pytest.mark.slow) for name in ("rich.console", "numpy", "torch.nn")]


@pytest.mark.parametrize("module", ["typer", "mtlkit.recipes.train_mtl", "torch", *SELDOM])
def test_ctrl_c_during_an_import_is_one_line(module: str, tmp_path: Path) -> None:
    """The signal comes just when the module is looked for."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell starts jobs in the background with it ignored
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.argv = ['mtlkit', 'train-mtl', '--task', 't=sample:topic']\n"
        "from mtlkit.__main__ import main\n"
        "main()\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    said = process.stderr.removeprefix("loading the model ...\n")  # on a busy machine
    assert (process.returncode, process.stdout, said) == (130, "", "mtlkit: interrupted\n")


def test_version(typed: Typed) -> None:
    assert typed("--version").out == f"mtlkit {__version__}\n"


def test_version_with_the_installation_for_bug_reports(typed: Typed) -> None:
    answer = typed("--version", "-v")
    assert (answer.code, answer.err) == (0, "")
    titles = [line.split()[0] for line in answer.out.splitlines()]
    assert titles[:6] == ["mtlkit", "python", "system", "cpu", "gpu", "packages"]
    assert {"cache", "settings"} < set(titles)
    assert typed("-v", "--version").out == answer.out


def test_verbose_alone_is_refused_with_where_it_goes(typed: Typed) -> None:
    answer = typed("-v", "info")
    assert (answer.code, answer.out) == (2, "")
    assert "--version" in answer.err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version", "-v"], ["train-mtl", "--help"], ["train-mtl", "--freze", "none"]]
)
def test_help_and_wrong_options_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, json\n"
        f"sys.argv = ['mtlkit', *{arguments!r}]\n"
        "from mtlkit.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: print(json.dumps([end.code, sorted(sys.modules)]))\n"
    )
    process = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    status, modules = json.loads(process.stdout.splitlines()[-1])
    assert status == (2 if "--freze" in arguments else 0)
    assert "typer" in modules
    heavy = {"torch", "datasets", "numpy", "tokenizers", "safetensors", "pyarrow", "scipy", "sklearn", "plotext", "matplotlib"}
    assert not heavy & set(modules)


def test_a_wrong_command_is_named_with_the_nearest(typed: Typed) -> None:
    answer = typed("train-mlt")
    assert (answer.code, answer.out) == (2, "")
    assert "train-mlt" in answer.err
    assert "Did you mean 'train-mtl'" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train-mtl", "--epoch", "3"], "--epochs"),
        (["train-mtl", "--epochs", "0"], "--epochs: 0 is out of range; use at least 1"),
        (["train-mtl", "--epochs", "many"], "--epochs: 'many' is not a whole number"),
        (["train-mtl", "--dropout", "1.5"], "--dropout: 1.5 is out of range; use at most 1"),
        (["train-mtl", "--warmup", "-0.1"], "--warmup"),
        (["train-mtl", "--learning-rate", "nan"], "--learning-rate"),
        (["train-mtl", "--schedule", "robin"], "did you mean 'round-robin'?"),
        (["train-mtl", "stray"], "stray"),
        (["pretrain", "--vocab-size", "10"], "300"),
        (["embed", "--model"], "requires an argument"),
        (["eval", "--split", "tset"], "'tset' is not one of test, validation, train; did you mean 'test'?"),
        (["runs", "--keep", "-1"], "--keep: -1 is out of range; use at least 0"),
        (["runs", "--device", "tpu"], "--device: 'tpu' is not one of auto, cpu, cuda, mps"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_2(typed: Typed, arguments: list[str], said: str) -> None:
    answer = typed(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err
    assert answer.err.startswith("mtlkit: ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [(MtlkitError, 1), (UsageError, 2), (DataError, 3), (IntegrityError, 4), (DivergedError, 5), (NetworkError, 6)],
)
def test_each_error_has_its_exit_code(typed: Typed, monkeypatch: pytest.MonkeyPatch, error: type[MtlkitError], code: int) -> None:
    def broken(options: object) -> None:
        raise error("file [/]\x1b[31m.csv:\n  is bad")

    monkeypatch.setattr(open_model, "open_model", broken)
    answer = typed("embed", "a text")
    assert (answer.code, answer.out) == (code, "")
    assert answer.err == "mtlkit: file [/]\N{REPLACEMENT CHARACTER}[31m.csv: is bad\n"  # fault 30


def test_a_bug_shows_its_traceback(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(options: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(open_model, "open_model", broken)
    with pytest.raises(KeyError, match="a bug"):
        typed("embed", "a text")
