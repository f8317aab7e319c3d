"""`mtlkit info`, typed and as a process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Typed = Callable[..., Any]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def own(mtl: Path, tmp_path: Path) -> Path:
    """A copy of the run, for damage."""
    return shutil.copytree(mtl, tmp_path / "runs" / "mtl")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_run_that_is_whole(typed: Typed, mtl: Path, width: int, terminal: bool) -> None:
    answer = typed("info", mtl, width=width, terminal=terminal)
    assert answer.code == 0, answer.err
    assert answer.err.splitlines()[0].startswith("run: ")
    assert answer.widest <= width
    assert answer.out.rstrip().endswith("all 6 files verified")
    assert "\x1b" not in answer.out


def test_solved_heads_have_cross_validated_scores_and_no_epoch(typed: Typed, solved: Path) -> None:
    out = " ".join(typed("info", solved).out.split())
    assert "cross-validated, as the heads were fitted to all rows, validation included: new-kind, new-state" in out
    assert "epoch" not in out.partition("Validation")[2]


def test_as_json(typed: Typed, mtl: Path) -> None:
    answer = typed("info", mtl, "--json")
    document = json.loads(answer.out)
    assert answer.code == 0
    assert (document["run"], document["kind"], document["stage"]) == (str(mtl), "run", "mtl")
    assert {file["condition"] for file in document["files"]} == {"ok"}
    assert [parent["condition"] for parent in document["lineage"]] == ["same", "same"]


def test_a_process_shows_everything_and_then_fails(forked: Cli, own: Path) -> None:
    with (own / "metrics.jsonl").open("a") as file:
        file.write("\n")
    (own / "tokenizer.json").unlink()
    done = forked("info", own)
    assert done.returncode == 4
    assert done.stderr.splitlines()[0] == f"run: {own}, as specified"
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"mtlkit: {own / 'metrics.jsonl'}: SHA-256 is ")
    assert last.endswith("(the first of 2 problems)")
    states = {line.split()[0]: line.split()[-1] for line in done.stdout.splitlines() if line.startswith((" m", " t", " c"))}
    assert (states["metrics.jsonl"], states["tokenizer.json"], states["config.json"]) == ("damaged", "missing", "ok")
    asked = forked("info", own, "--json")
    assert asked.returncode == 4
    assert len(json.loads(asked.stdout)["problems"]) == 2


def test_mini_and_the_newest_run_by_a_process(forked: Cli, own: Path, tmp_path: Path) -> None:
    newest = forked("info", "--json", cwd=tmp_path)
    assert newest.returncode == 0, newest.stderr
    assert json.loads(newest.stdout)["run"] == "runs/mtl"
    shutil.rmtree(own)
    mini = forked("info", cwd=tmp_path, COLUMNS="80")
    assert mini.returncode == 0, mini.stderr
    assert mini.stderr == "run: mini, the bundled model; no compatible run in runs/\n"
    assert "A sentence encoder (compact export)" in mini.stdout
    assert mini.stdout.endswith("all 4 files verified\n")


def test_no_torch_is_loaded(mtl: Path) -> None:
    code = f"import sys; sys.argv = ['mtlkit', 'info', {str(mtl)!r}]\nfrom mtlkit.cli.app import main\n"
    code += "try: main()\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_a_terminal_without_unicode(cli: Cli, mtl: Path) -> None:
    done = cli("info", mtl, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_what_is_no_run_is_one_line(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    for place, code, said in ((tmp_path, 2, "no run.json"), (tmp_path / "none", 2, "no such folder")):
        answer = typed("info", place, "--runs", mtl.parent)
        assert (answer.code, answer.out) == (code, "")
        assert said in answer.err
        assert answer.err.count("\n") == 1
    (tmp_path / "run.json").write_text('{"format": 1, "stage": "mtl"}')
    answer = typed("info", tmp_path)
    assert (answer.code, answer.out) == (4, "")
    assert answer.err.startswith(f"mtlkit: {tmp_path / 'run.json'}: damaged (")
