"""`mtlkit export`, typed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from forks import Forks

from mtlkit.recipes import export as recipe

Typed = Callable[..., Any]
Cli = Callable[..., subprocess.CompletedProcess[str]]
TEXT = "The cat sleeps near the river."


def needs(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def test_a_folder_for_sentence_transformers(runs: Path, forked: Cli, forks: Forks, tmp_path: Path) -> None:
    """With warnings as errors, and not a word of the libraries that do the work."""
    needs("sentence_transformers")
    out = tmp_path / "out"
    done = forked("export", runs / "mtl", out, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"model: {runs / 'mtl'}, as specified\nwriting {out}\n"
    told = json.loads(done.stdout)
    assert told.pop("largest_difference") <= 1e-5
    assert told == {
        "model": str(runs / "mtl"),
        "output": str(out),
        "format": "sentence-transformers",
        "dim": 32,
        "tasks": ["kind", "state"],
    }
    again = forks.start("export", runs / "mtl", out)
    assert (again.wait(), again.out) == (2, "")
    assert again.err.splitlines()[-1].startswith(f"mtlkit: {out} is not empty; replace it with --overwrite")


@pytest.mark.slow
def test_a_graph_that_embed_and_predict_run(runs: Path, cli: Cli, forks: Forks, tmp_path: Path) -> None:
    needs("onnx", "onnxscript", "onnxruntime")
    out = tmp_path / "out"
    done = cli("export", "--runs", runs, runs / "mtl", out, "--format", "onnx")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{out}: onnx, vectors of 32, heads kind, state; differs from the model by ")
    first, *_, last = done.stderr.splitlines()
    assert (first, last) == (f"model: {runs / 'mtl'}, as specified", f'next: mtlkit embed --model {out} "some sentence"')
    answers = [forks.start("predict", "--model", model, TEXT, "--json") for model in (runs / "mtl", out)]
    assert [answer.wait() for answer in answers] == [0, 0], [answer.err for answer in answers]
    ours, theirs = (json.loads(answer.out)["predictions"][0]["tasks"]["kind"] for answer in answers)
    assert ours["label"] == theirs["label"]
    assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-5)
    piped = cli("embed", "--model", out, "-", input=f"{TEXT}\n")
    assert len(json.loads(piped.stdout)["vector"]) == 32, piped.stderr


def test_impossible_exports_are_one_line(forks: Forks, tmp_path: Path) -> None:
    done = forks.start("export", tmp_path / "none")
    assert done.wait() == 2
    assert done.err == f"mtlkit: model {tmp_path / 'none'}: no such folder\n"
    empty = forks.start("export", "--runs", tmp_path)
    assert empty.wait() == 2
    assert empty.err.startswith("mtlkit: mini is not one of your runs")
    assert "as DIR" in empty.err
    assert empty.err.count("\n") == 1


def test_unchecked_export_is_reported(runs: Path, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda _: None)
    done = typed("export", runs / "mtl", tmp_path / "out")
    assert (done.code, done.out) == (0, f"{tmp_path / 'out'}: sentence-transformers, vectors of 32, heads kind, state\n")
    assert "not checked: sentence-transformers is not installed" in done.err
    assert "pip install 'mtlkit[sentence-transformers]'" in done.err
    assert typed("export", runs / "mtl", tmp_path / "out", "--overwrite").code == 0
