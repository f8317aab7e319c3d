"""`mtlkit curves`, typed."""

from __future__ import annotations

import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forks import Forks
from rich.console import Console

from mtlkit.cli.curves import print_curves
from mtlkit.runs.record import LOG

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
Typed = Callable[..., Any]
Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("terminal", [False, True])
def test_curves_of_a_run(typed: Typed, mtl: Path, width: int, terminal: bool) -> None:
    answer = typed("curves", mtl, width=width, terminal=terminal)
    assert answer.code == 0, answer.err
    assert answer.err.startswith(f"curves of {mtl / LOG}, ")
    assert answer.widest <= width
    assert answer.out.startswith("kind ")
    assert answer.out.rstrip().endswith("●: validation loss (◆: kept); below: steps")
    assert "\x1b" not in answer.out


def test_solved_heads_have_none(typed: Typed, solved: Path, tmp_path: Path) -> None:
    answer = typed("curves", solved)
    assert (answer.code, answer.out) == (0, "")
    assert answer.err.splitlines()[1:] == [
        "heads solved by L-BFGS, which takes no steps and has no curves (new-kind, new-state); "
        f"mtlkit info {solved} has the scores"
    ]
    assert typed("curves", solved, "--output", tmp_path / "curves.svg").code == 2


def test_as_numbers(typed: Typed, mtl: Path) -> None:
    document = json.loads(typed("curves", mtl, "--json", "--smooth", 1).out)
    assert list(document) == ["log", "tasks", "guards", "gradient_norm", "epochs", "kept"]
    kind = document["tasks"]["kind"]
    assert kind["train"]["smoothed"] == kind["train"]["values"]
    assert len(kind["train"]["steps"]) == len(kind["train"]["values"])
    assert kind["validation"]["steps"] == [0, *document["epochs"]]
    assert kind["scores"]["metric"] == "accuracy"
    assert len(kind["scores"]["values"]) == 11


def test_following_a_finished_run_ends_at_once(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    plain = typed("curves", mtl, "--follow")
    assert plain.code == 0, plain.err
    assert sum("  kind  val loss " in line for line in plain.out.splitlines()) == 11
    assert sum(line.endswith("kept so far") for line in plain.out.splitlines()) == 2
    assert plain.err.splitlines()[-1] == f"{mtl}: the training has ended; next: mtlkit info {mtl}"
    drawn = typed("curves", mtl, "--follow", terminal=True, width=80)
    assert drawn.code == 0, drawn.err
    assert max(map(len, CONTROL.sub("", drawn.out).splitlines())) <= 80
    assert "●: validation loss (◆: kept)" in drawn.out
    refused = typed("curves", mtl, "--follow", "--json")
    assert refused.code == 2
    assert "remove one of them" in refused.err


def test_ctrl_c_ends_the_wait_for_a_training(forks: Forks, tmp_path: Path) -> None:
    child = forks.start("curves", tmp_path / "new", "--follow")
    written = child.name.with_suffix(".err")
    assert child.until(lambda: written.exists() and "waiting for a training" in written.read_text(), pause=0.05)
    child.kill(signal.SIGINT)
    assert child.wait() == 130
    assert child.err.endswith("mtlkit: interrupted\n")


def test_a_picture_by_a_process_of_its_own(forked: Cli, mtl: Path, tmp_path: Path) -> None:
    """With warnings as errors; the last line is the file, for a script to take."""
    pytest.importorskip("matplotlib")
    done = forked("curves", mtl, "-o", tmp_path / "curves.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'curves.png'}\n"
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_terminal_without_unicode(cli: Cli, mtl: Path) -> None:
    done = cli("curves", mtl, PYTHONIOENCODING="ascii", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    assert "\\u" not in done.stdout
    assert "o: validation loss" in done.stdout


def test_errors_are_one_line(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    shutil.copy(mtl / LOG, tmp_path)
    with (tmp_path / LOG).open("a") as file:
        file.write("nothing\n")
    lines = (tmp_path / LOG).read_text().count("\n")
    damaged = typed("curves", tmp_path)
    assert (damaged.code, damaged.out) == (4, "")
    assert damaged.err.startswith(f"mtlkit: {tmp_path / LOG}:{lines}: not a line of a training log")
    wrong = typed("curves", mtl, "-o", "curves.gif")
    assert (wrong.code, wrong.out) == (2, "")
    assert wrong.err.count("\n") == 1
    (tmp_path / LOG).write_text('{"step": 1, "losses": {"kind": 0.5}, "gradient_norm": 1.0}\n')
    short = typed("curves", tmp_path)
    assert (short.code, short.out) == (0, "")
    assert "fewer than three" in short.err


def test_showing_curves_loads_no_torch(mtl: Path) -> None:
    code = f"import sys; sys.argv = ['mtlkit', 'curves', {str(mtl)!r}]\nfrom mtlkit.cli.app import main\n"
    code += "try: main()\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules, 'matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 False False"


def test_the_end_of_a_training_shows_them(mtl: Path, tmp_path: Path) -> None:
    for width in (80, 120):
        console = Console(file=io.StringIO(), width=width, color_system=None)
        print_curves(mtl, console)
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert text.startswith("kind ")
        assert max(map(len, text.splitlines())) <= width
    (tmp_path / LOG).write_text('{"step": 1, "losses": {"kind": 0.5}, "gradient_norm": 1.0}\n')
    console = Console(file=io.StringIO())
    print_curves(tmp_path, console)
    print_curves(tmp_path / "none", console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == ""
