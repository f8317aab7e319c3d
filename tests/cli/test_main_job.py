"""The main job as typed in an empty folder: every command is a process of its own, warnings are errors, on the samples.

The prediction imports everything itself; the other processes start with it imported.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import write

from mtlkit.inference.scope.file import SCOPE
from mtlkit.model.prediction_head import PREDICTION_HEAD
from mtlkit.runs.record import verify

Cli = Callable[..., subprocess.CompletedProcess[str]]
Job = dict[str, subprocess.CompletedProcess[str]]
TINY = ("--layers", 1, "--dim", 32, "--heads", 2, "--vocab-size", 500, "--context", 32)
COMMANDS: dict[str, tuple[object, ...]] = {
    "pretrain": ("pretrain", *TINY, "--epochs", 1, "--json"),
    "train-sentence": ("train-sentence", "--epochs", 1),
    "train-mtl": ("train-mtl", "--epochs", 1),
    "eval": ("eval", "--confusion"),
    "embed": ("embed", "some sentence", "another"),
    "predict": ("predict", "The striker scored twice before the interval."),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job")


@pytest.fixture(scope="module")
def job(folder: Path, cli: Cli, forked: Cli) -> Job:
    return {name: (cli if name == "predict" else forked)(*command, cwd=folder) for name, command in COMMANDS.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_works(job: Job, name: str) -> None:
    assert job[name].returncode == 0, job[name].stderr
    assert "Warning" not in job[name].stderr
    assert "\x1b" not in job[name].stdout + job[name].stderr


def test_each_stage_starts_from_the_newest_run_of_the_previous_stage(job: Job, folder: Path) -> None:
    first = {name: process.stderr.splitlines()[0] for name, process in job.items()}
    assert "818 texts to train on, 160 held out (validation split of sample:topic, sample:sentiment)" in job["pretrain"].stderr
    assert first["train-sentence"] == "starting from runs/pretrain, the newest compatible run in runs/"
    assert first["train-mtl"] == "starting from runs/sentence, the newest compatible run in runs/"
    for name in ("eval", "embed", "predict"):
        assert first[name] == "model: runs/mtl, the newest compatible run in runs/"
    assert sorted(path.name for path in folder.iterdir()) == ["runs"]
    assert sorted(path.name for path in (folder / "runs").iterdir()) == ["mtl", "pretrain", "sentence"]


def test_training_with_json_prints_one_document(job: Job) -> None:
    document = json.loads(job["pretrain"].stdout)
    assert list(document) == ["run", "metrics", "seconds"]
    assert document["run"] == "runs/pretrain"
    assert {"loss", "perplexity", "bits_per_byte", "tokens", "tokens_per_second"} <= set(document["metrics"])
    assert 1 < document["metrics"]["perplexity"] < 500
    assert "bits per byte" in job["pretrain"].stderr


@pytest.mark.parametrize(
    ("name", "run", "following"), [("sentence", "sentence", "train-mtl"), ("mtl", "mtl", "eval --confusion")]
)
def test_the_last_line_of_a_training_names_the_run_and_the_next_command(job: Job, name: str, run: str, following: str) -> None:
    (line,) = job[f"train-{name}"].stdout.splitlines()
    assert line.startswith(f"runs/{run} is ready (")
    assert line.endswith(f"); next: mtlkit {following}")


def test_training_shows_its_tasks_parts_and_epochs(job: Job) -> None:
    said = job["train-mtl"].stderr
    assert "topic: 392 rows to train on, 80 to validate, 4 classes" in said
    assert "sentiment: 426 rows to train on, 80 to validate, 2 classes" in said
    assert "epoch  task " in said
    assert re.search(r"^1/1 +\w+ +\d\.\d{3} ", said, re.M)
    assert all(column in said for column in ("train loss", "val loss", "accuracy", "macro-F1"))


def test_evaluation_shows_tables(job: Job) -> None:
    shown = job["eval"].stdout
    assert "topic (test): accuracy 0." in shown
    assert "on 128 texts" in shown
    assert "sentiment (test): accuracy 0." in shown
    assert "topic: rows true, columns predicted" in shown
    assert "topic: most often confused" in shown
    assert all(label in shown for label in ("World", "Sports", "Business", "Sci/Tech", "positive", "negative"))


def test_embed_and_predict_print_json_lines_when_piped(job: Job) -> None:
    vectors = [json.loads(line) for line in job["embed"].stdout.splitlines()]
    assert [(row["text"], len(row["vector"])) for row in vectors] == [("some sentence", 32), ("another", 32)]
    (answer,) = [json.loads(line) for line in job["predict"].stdout.splitlines()]
    assert set(answer["tasks"]) == {"topic", "sentiment"}


def test_every_run_is_whole_and_names_its_parent(job: Job, folder: Path) -> None:
    files = {"README.md", "config.json", "metrics.jsonl", "model.safetensors", "run.json", "tokenizer.json"}
    for name, parent in (("pretrain", None), ("sentence", "runs/pretrain"), ("mtl", "runs/sentence")):
        run = folder / "runs" / name
        assert {path.name for path in run.iterdir()} == {*files, PREDICTION_HEAD if name == "pretrain" else SCOPE}
        record = verify(run)
        assert (record.parent or {}).get("path") == parent
        for line in (run / "metrics.jsonl").read_text().splitlines():
            json.loads(line)


@pytest.mark.parametrize(("solver", "command", "said"), [("sgd", "eval", "own (validation)"), ("lbfgs", "predict", "own")])
def test_the_next_command_works_as_typed(solver: str, command: str, said: str, job: Job, folder: Path, forked: Cli) -> None:
    """A run elsewhere, on a file without a test split; L-BFGS has trained on the rows that were held out."""
    rows = [("text", "label"), *((f"The {word} number {row}", word) for row in range(15) for word in ("cat", "saw"))]
    write(folder / "data" / "own.csv", rows)
    options = ("--init", "runs/sentence", "--epochs", 1, "--freeze", "backbone", "--solver", solver)
    done = forked("train-mtl", "--task", "own=data/own.csv", "--out", f"else where {solver}", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    proposed = shlex.split(done.stdout.partition("next: ")[2])
    assert proposed[:2] == ["mtlkit", command]
    answered = forked(*proposed[1:], cwd=folder)
    assert answered.returncode == 0, answered.stderr
    assert said in answered.stdout
