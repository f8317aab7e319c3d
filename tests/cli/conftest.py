"""Commands run in this process: like real ones from the arguments on, and a hundred times faster."""

from __future__ import annotations

import io
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from every_kind import every_kind, train_every_kind  # noqa: F401  fixtures
from forks import Forks
from killing import TINY, killed_in
from pair_files import write_pairs
from rich.console import Console

from mtlkit.cli import console
from mtlkit.cli.app import main

STYLE = re.compile(r"\x1b\[[0-9;]*m")


built = cache(typer.main.get_command)  # Typer builds all commands anew whenever it is called


@dataclass(frozen=True)
class Answer:
    """The result of a command. Terminal styles are removed from `out`; other control characters are not."""

    code: int
    out: str
    err: str
    raw: str

    @property
    def widest(self) -> int:
        return max(map(len, self.out.splitlines()))


Typed = Callable[..., Answer]


@pytest.fixture
def typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Typed]:
    """`typed("embed", "a text", stdin=b"...", width=80, terminal=True)` runs the command line and returns its Answer.

    The working directory is an empty folder: the checkout may have a `runs/` of its developer.
    """
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))
    monkeypatch.setattr(typer.main, "get_command", built)
    monkeypatch.setattr(Console, "on_broken_pipe", Console.on_broken_pipe)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: object, stdin: bytes = b"", width: int = 100, terminal: bool = False) -> Answer:
        monkeypatch.setattr(sys, "argv", ["mtlkit", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm-256color")
        for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        if terminal:
            monkeypatch.setenv("FORCE_COLOR", "1")
        console.stdout.cache_clear()
        console.stderr.cache_clear()
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        captured = capsys.readouterr()
        code = left.value.code
        return Answer(code if isinstance(code, int) else 0, STYLE.sub("", captured.out), captured.err, captured.out)

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)
    console.stdout.cache_clear()
    console.stderr.cache_clear()


@pytest.fixture(scope="session")
def mtl(runs: Path) -> Path:
    """The run with the heads `kind` and `state`."""
    return runs / "mtl"


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with labelled pairs of texts to train and test on."""
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder / "train.csv", 120, 0)
    write_pairs(folder / "test.csv", 40, 1)
    return folder


@pytest.fixture(scope="session")
def unread(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with an unreadable end, for errors that must be reported before data is read."""
    path = tmp_path_factory.mktemp("unread") / "unread.csv"
    path.write_text("text,label\n" + "".join(f"text {row},{'ab'[row % 2]}\n" for row in range(150)) + "a,row,too,long\n")
    return path


Command = tuple[object, ...]


@pytest.fixture(scope="session")
def command(data: Path) -> Command:
    """A training of 54 steps that is saved at every second step, without --out."""
    tasks = [part for name in ("kind", "state") for part in ("--task", f"{name}={data / name}")]
    return ("train-mtl", *tasks, "--init", "scratch", *TINY, "--epochs", 3, "--save-every", 2)


@pytest.fixture(scope="session")
def whole(forks: Forks, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of an uninterrupted training."""
    out = tmp_path_factory.mktemp("whole") / "run"
    child = forks.start(*command, "--out", out)
    assert child.wait() == 0, child.err
    return out


@pytest.fixture(scope="session")
def solving(data: Path, runs: Path) -> Command:
    """Two heads that are solved on a frozen backbone, saved after each, without --out."""
    tasks = [part for name in ("kind", "state") for part in ("--task", f"new-{name}={data / name / 'train.csv'}")]
    return ("train-mtl", *tasks, "--init", runs / "sentence", "--freeze", "backbone", "--save-every", 1)


@pytest.fixture(scope="session")
def solved(forks: Forks, solving: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of two solved heads."""
    out = tmp_path_factory.mktemp("solved") / "run"
    child = forks.start(*solving, "--out", out)
    assert child.wait() == 0, child.err
    assert child.out.endswith(f"next: mtlkit predict --model {out} 'a text'\n")  # not eval, as no rows are held out
    return out


@pytest.fixture(scope="session")
def killed(forks: Forks, command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the same training killed in its 12th step; to be copied, not changed."""
    out = tmp_path_factory.mktemp("killed") / "run"
    killed_in(12, forks, command, out)
    return out


@pytest.fixture
def unfinished(killed: Path, tmp_path: Path) -> Path:
    """A copy of the killed training."""
    return Path(shutil.copytree(killed, tmp_path / "run"))


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def browser() -> Iterator[Any]:
    """A Chromium without a window; skips the test where none is installed."""
    playwright: Any = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()
