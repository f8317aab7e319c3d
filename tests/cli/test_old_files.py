"""Runs, checkpoints, logs and caches that an earlier version wrote still load.

`tests/old_files/files.json` maps each path to its text, or to base64 for safetensors. They were written before version 0.2 by
`pretrain`, `train-sentence` and `train-mtl` with one layer of width 8; `stopped-*` were killed after their checkpoint of step 10.
`expected.json` has the sum of each weight, and of its magnitude, after the same version had resumed these two.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

STORED = Path(__file__).parents[1] / "old_files"
TASKS = ("--task", "kind=kind.csv", "--task", "size=size.jsonl?kind=regression")


@pytest.fixture
def old(typed: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the stored files."""
    for name, content in json.loads((STORED / "files.json").read_text()).items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(content) if path.suffix == ".safetensors" else content.encode())
    monkeypatch.setenv("MTLKIT_CACHE", str(Path("cache").absolute()))
    return Path()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("command", "run"), [("pretrain", "stopped-base"), ("train-mtl", "stopped-mtl")], ids=["pretrain", "train-mtl"]
)
def test_a_checkpoint_is_resumed(command: str, run: str, typed: Any, old: Path) -> None:
    answer = typed(command, "--resume", f"runs/{run}")
    assert answer.code == 0, answer.err
    assert "step 10" in answer.err
    weights = load_file(f"runs/{run}/model.safetensors")
    expected = json.loads((STORED / "expected.json").read_text())[run]
    assert set(weights) == set(expected)
    for name, weight in weights.items():
        assert [weight.sum(), np.abs(weight).sum()] == pytest.approx(expected[name], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("run", ["base", "sentence", "mtl", "frozen", "shared"])
def test_info_and_curves_of_a_run(run: str, typed: Any, old: Path) -> None:
    facts = json.loads(typed("info", f"runs/{run}", "--json").out)
    assert facts["finished"]
    curves = typed("curves", f"runs/{run}", "--json")
    assert curves.code == 0, curves.err
    assert json.loads(curves.out)


@pytest.mark.parametrize("run", ["base", "sentence", "mtl", "frozen", "shared", "stopped-base", "stopped-mtl"])
def test_a_run_has_a_page_finished_or_not(run: str, typed: Any, old: Path) -> None:
    answer = typed("report", f"runs/{run}", "--split", "validation", "-o", "page.html")
    assert answer.code == 0, answer.err
    assert "<svg" in Path("page.html").read_text()


def test_runs_are_compared_on_a_page_finished_or_not(typed: Any, old: Path) -> None:
    answer = typed("report", "runs/mtl", "runs/shared", "runs/stopped-mtl", "--split", "validation", "-o", "page.html")
    assert answer.code == 0, answer.err
    assert "stopped-mtl is interrupted: only its log is shown" in answer.err
    text = Path("page.html").read_text()
    assert "kind: training loss, smoothed" in text
    assert text.count("stopped-mtl, step ") > 3
    document = json.loads(typed("runs", "runs/mtl", "runs/shared", "--split", "validation", "--json").out)
    assert {test["task"] for test in document["tests"]} == {"kind", "size"}


def test_a_model_predicts_and_is_evaluated(typed: Any, old: Path) -> None:
    (prediction,) = json.loads(typed("predict", "guitar", "--model", "runs/mtl", "--json").out)["predictions"]
    assert prediction["tasks"]["kind"]["probability"] == pytest.approx(0.54549, abs=1e-4)
    assert prediction["tasks"]["size"]["value"] == pytest.approx(2.86643, abs=1e-3)
    found = json.loads(typed("eval", "--model", "runs/mtl", "--split", "validation", "--json").out)["tasks"]
    assert (found["kind"]["accuracy"], found["size"]["n"]) == (0.6, 4)


def test_a_training_starts_from_a_model_and_uses_the_caches(typed: Any, old: Path) -> None:
    before = contents(Path("runs/.cache"))
    start = ("train-mtl", "--init", "runs/sentence", *TASKS, "--batch-tokens", 128, "--epochs", 1)
    answer = typed(*start, "--freeze", "backbone", "--solver", "sgd", "--cache-memory", 0, "--out", "runs/frozen-again")
    assert answer.code == 0, answer.err
    answer = typed(*start, "--baselines", "--seeds", 2, "--out", "runs/shared-again")
    assert answer.code == 0, answer.err
    after = contents(Path("runs/.cache"))
    assert before.items() <= after.items()
    assert {path.parent.name for path in after.keys() - before} == {"baselines"}  # they chose epochs in another way
    for run in ("frozen", "shared"):
        old_weights, weights = (load_file(f"runs/{name}/model.safetensors") for name in (run, f"{run}-again"))
        for name, weight in weights.items():
            np.testing.assert_allclose(weight, old_weights[name], atol=1e-4)


def test_ranges_of_int8_are_used_again(typed: Any, old: Path) -> None:
    (path,) = Path("cache/int8").iterdir()
    before = path.stat()
    assert typed("embed", "guitar", "--model", "runs/mtl", "--precision", "int8").code == 0
    assert [(one.name, one.stat().st_ino, one.stat().st_mtime_ns) for one in path.parent.iterdir()] == [
        (path.name, before.st_ino, before.st_mtime_ns)
    ]
