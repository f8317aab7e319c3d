"""Each example of freezing runs as typed and ends as its file says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtlkit.runs.record import RunRecord, verify

EXAMPLES = Path(__file__).parents[2] / "examples" / "freezing"
SHORT = ("--max-length", "48")  # a text's first and last words say enough


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all examples run, so that the model that a task is added to is trained once."""
    return tmp_path_factory.mktemp("freezing")


def call(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr
    return done


def run(name: str, folder: Path, *options: str) -> RunRecord:
    """The run of a script, whose options overrule its file."""
    done = call(folder, EXAMPLES / f"{name}.sh", *options)
    record = verify(folder / "runs" / name.replace("_", "-"))
    assert "(test): accuracy" in done.stdout
    return record


def accuracy(record: RunRecord, task: str) -> float:
    value: float = record.metrics["validation"][task]["accuracy"]
    return value


@pytest.mark.slow
@pytest.mark.parametrize("name", ["frozen_linear", "frozen_mlp"])
def test_heads_on_a_frozen_backbone(name: str, folder: Path) -> None:
    record = run(name, folder, *SHORT)
    assert accuracy(record, "topic") > 0.8
    assert accuracy(record, "sentiment") > 0.6


@pytest.mark.slow
def test_a_task_is_added_and_the_old_one_is_held_by_guards_alone(folder: Path) -> None:
    topic = ("--init", "mini", "--task", "topic=sample:topic", "--out", "runs/topic")  # as the scripts make it, but quickly
    call(folder, "mtlkit", "train-mtl", *topic, *SHORT, "--epochs", "3")
    free, guarded = (run(name, folder, "--epochs", "3", "--seed", "2") for name in ("added", "added_guarded"))
    lost = [-record.metrics["forgetting"]["changes"][0]["change"] for record in (free, guarded)]
    assert lost[1] <= 0.05 < lost[0]
    assert accuracy(free, "sentiment") > 0.6
    assert accuracy(guarded, "sentiment") > 0.5


@pytest.mark.slow
def test_staged_thawing(folder: Path) -> None:
    record = run("thawing", folder, "--task", "topic=sample:topic", "--epochs", "5", "--max-length", "64")
    assert record.options["unfreeze"] == "top-down"
    assert accuracy(record, "topic") > 0.85


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_each_method_explains_briefly_when_to_choose_it(path: Path) -> None:
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any("When: " in line for line in comments)
    assert len(comments) <= 4
    assert path.with_suffix(".sh").is_file()
