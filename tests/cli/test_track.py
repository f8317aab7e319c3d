"""`--track` from the command line: what arrives, and what happens when trackers fail."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import TRAINED, Cli
from event_files import read_events, scalars
from forks import Forks
from killing import killed_in, newest
from rank_runs import ended, start_ranks
from tracker_stubs import Recording, added, recorded

from mtlkit.runs.record import file_digest

if TYPE_CHECKING:
    from .conftest import Typed

HANGS = "import time\nclass Settings:\n    def __init__(self, **_): pass\nclass api:\n    api_key = ''\n"
HANGS += "def init(**_): print('connecting'); time.sleep(3600)\n"
RAISES = "class MlflowClient:\n    def __init__(self, *_): print('connecting'); raise ConnectionError('server is down')\n"


@pytest.fixture
def command(runs: Path, data: Path) -> tuple[object, ...]:
    """A training of the tasks `kind` and `state` for two epochs."""
    settings = TRAINED | {"epochs": 2, "init": runs / "mtl"}
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", value)]
    return ("train-mtl", *(word for name in ("kind", "state") for word in ("--task", f"{name}={data / name}")), *options)


def log_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path, task: str) -> list[tuple[int, float]]:
    """The points that a tracker must have of the loss of a task."""
    steps = [record for record in log_of(run) if record["type"] == "step" and task in record["losses"]]
    return [(record["step"], pytest.approx(record["losses"][task], rel=1e-6)) for record in steps]


def workers(folder: Path) -> list[int]:
    """Processes of trackers that write into a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"trackers.worker" in (path / "cmdline").read_bytes() and str(folder) in os.readlink(path / "fd" / "2"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_trackers_that_hang_or_raise_change_nothing(cli: Cli, command: tuple[object, ...], tmp_path: Path) -> None:
    for name, code in (("wandb", HANGS), ("mlflow", RAISES)):
        (tmp_path / "stubs" / name).mkdir(parents=True)
        (tmp_path / "stubs" / name / "__init__.py").write_text(code)
    plain, tracked = tmp_path / "plain" / "mtl", tmp_path / "tracked" / "mtl"
    assert cli(*command, "--out", plain).returncode == 0
    paths = os.pathsep.join([str(tmp_path / "stubs"), os.environ.get("PYTHONPATH", "")])
    result = cli(*command, "--out", tracked, "--track", "wandb,mlflow", PYTHONPATH=paths, MTLKIT_TRACK_WAIT="1")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("\n") == 1  # that the run is ready
    assert "connecting" not in result.stderr
    assert result.stderr.count("--track mlflow: ConnectionError: server is down; the training goes on") == 1
    total = len(log_of(tracked))
    for name in ("wandb", "mlflow"):
        assert f"--track {name}: {total} of {total} records were not sent" in result.stderr
    for file in ("model.safetensors", "config.json"):
        assert file_digest(tracked / file) == file_digest(plain / file)
    assert not workers(tmp_path)


def test_tensorboard_has_the_records_of_the_log(typed: Typed, command: tuple[object, ...], tmp_path: Path) -> None:
    answer = typed(*command, "--out", tmp_path / "mtl", "--track", "tensorboard", "--json")
    assert answer.code == 0, answer.err
    assert "tensorboard --logdir" in answer.err
    series = scalars(tmp_path)
    for task in ("kind", "state"):
        assert series[f"loss/{task}"] == losses(tmp_path / "mtl", task)
        assert len(series[f"validation/{task}/accuracy"]) == 3  # before training, and two epochs
    metrics = json.loads(answer.out)["metrics"]
    assert series["final/validation/kind/accuracy"][0][1] == pytest.approx(metrics["validation"]["kind"]["accuracy"])
    config = read_events(tmp_path).summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"learning_rate" in config
    assert typed("info", tmp_path / "mtl").code == 0
    listed = json.loads(typed("runs", tmp_path, "--json").out)
    assert [Path(run["path"]).name for run in listed] == ["mtl"]
    assert "track" not in json.loads((tmp_path / "mtl" / "run.json").read_text())["command"]


def test_a_killed_and_resumed_training_has_every_step_once(
    typed: Typed, forks: Forks, command: tuple[object, ...], tmp_path: Path
) -> None:
    out = tmp_path / "mtl"
    killed_in(7, forks, (*command, "--save-every", 4, "--track", "tensorboard"), out)
    assert newest(out) == 4
    assert typed("train-mtl", "--resume", out).code == 0
    assert scalars(tmp_path)["loss/kind"] == losses(out, "kind")
    assert not workers(tmp_path)


def test_a_killed_training_leaves_no_process_and_its_last_steps(
    forks: Forks, typed: Typed, command: tuple[object, ...], tmp_path: Path
) -> None:
    """A tracker that cannot take steps back gets none twice. It has all that was logged before the kill."""
    out = tmp_path / "mtl"
    with added(Recording):
        killed_in(7, forks, (*command, "--save-every", 4, "--track", "tensorboard"), out)
        last = time.monotonic() + 60
        while workers(tmp_path):
            assert time.monotonic() < last
            time.sleep(0.1)
        assert typed("train-mtl", "--resume", out, "--track", "stub").code == 0
        steps = [line["step"] for line in recorded(tmp_path / "tracking") if "loss/kind" in line["values"]]
    assert steps == [step for step, _ in losses(out, "kind")]  # added when resumed, it has the steps before, too
    assert max(step for step, _ in scalars(tmp_path)["train/tokens"]) == 6


def test_ctrl_c_sends_what_there_is(forks: Forks, typed: Typed, command: tuple[object, ...], tmp_path: Path) -> None:
    out = tmp_path / "mtl"
    child = forks.start(
        *command, "--out", out, "--track", "tensorboard", hold="mtlkit.training.optimizer:EagerAdamW.step", call=5
    )
    child.held()
    child.kill(signal.SIGINT)
    child.release()
    assert child.wait() == 130, child.err
    assert newest(out) == 5
    assert not workers(tmp_path)
    assert max(step for step, _ in scalars(tmp_path)["train/tokens"]) == 5
    answer = typed("train-mtl", "--resume", out, "--track", "none")
    assert answer.code == 0, answer.err
    assert max(step for step, _ in scalars(tmp_path)["train/tokens"]) == 5


def test_only_the_first_of_several_processes_tracks(forks: Forks, command: tuple[object, ...], tmp_path: Path) -> None:
    ranks = start_ranks(forks, 2, *command, "--out", tmp_path / "mtl", "--track", "tensorboard")
    assert ended(ranks) == [0, 0], ranks[0].err
    assert scalars(tmp_path)["loss/kind"] == losses(tmp_path / "mtl", "kind")


def test_pretraining_is_tracked(typed: Typed, data: Path, tmp_path: Path) -> None:
    shape = ("--layers", 1, "--dim", 16, "--heads", 2, "--vocab-size", 300, "--context", 16, "--epochs", 1)
    with added(Recording):
        answer = typed("pretrain", data / "kind" / "train.csv", *shape, "--out", tmp_path / "base", "--track", "stub")
    assert answer.code == 0, answer.err
    points = recorded(tmp_path / "tracking")
    assert [(p["step"], p["values"]["loss/next token"]) for p in points if "loss/next token" in p["values"]] == losses(
        tmp_path / "base", "next token"
    )
    (end,) = recorded(tmp_path / "tracking", "finish")
    assert end["scores"]["perplexity"] == points[-1]["values"]["validation/next token/perplexity"]


def test_solved_heads_are_tracked(typed: Typed, data: Path, runs: Path, tmp_path: Path) -> None:
    task = ("--task", f"kind={data / 'kind'}", "--freeze", "backbone", "--init", runs / "sentence")
    with added(Recording):
        answer = typed("train-mtl", *task, "--out", tmp_path / "mtl", "--track", "stub")
    assert answer.code == 0, answer.err
    names = {name for point in recorded(tmp_path / "tracking") for name in point["values"]}
    assert {"event/head_solved/kind/c", "validation/kind/accuracy"} <= names


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("absent", "--track absent needs no_such_package, which is not installed; run: pip install 'mtlkit[absent]'"),
        ("tensorbord", "no tracker 'tensorbord'"),
    ],
)
def test_what_cannot_track_is_refused_before_data_is_read(typed: Typed, tmp_path: Path, value: str, reason: str) -> None:
    from mtlkit.config.registries.trackers import TRACKERS
    from mtlkit.training.trackers.services.base import TrackerService

    service = TrackerService(name="absent", help="", module="no_such_package", extra="absent", factory=Recording)
    TRACKERS.add(service)
    try:
        for name in ("pretrain", "train-sentence", "train-mtl"):
            answer = typed(name, "--track", value, "--out", tmp_path / "run")
            assert answer.code == 2
            assert reason in answer.err
            assert len(answer.err.splitlines()) == 1
    finally:
        del TRACKERS["absent"]
    assert not list(tmp_path.iterdir())


def test_a_run_must_not_be_where_trackers_write(typed: Typed, command: tuple[object, ...], tmp_path: Path) -> None:
    answer = typed(*command, "--out", tmp_path / "tracking", "--track", "tensorboard")
    assert answer.code == 2
    assert "choose another with --out" in answer.err


def test_options_of_toml_and_help(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text('track = ["tensorbord"]\n')
    assert "did you mean 'tensorboard'" in typed("train-mtl", "--config", file).err
    assert "Known: tensorboard, trackio, wandb, mlflow." in " ".join(typed("train-mtl", "--help").out.split())
