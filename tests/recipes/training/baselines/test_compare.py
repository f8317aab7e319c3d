"""Multi-task vs. single-task: real trainings of two tasks, together and alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import notes, options, rows_of, write

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.evaluation.sharing import SharingReport
from mtlkit.inference.load_model import load
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.train_mtl import stream, train_mtl
from mtlkit.recipes.training.baselines.cache import OUTPUTS
from mtlkit.runs.record import newest_run, verify
from mtlkit.training.events import BaselineEvent, Event, Finished, Progress, Sharing


def compared(base_options: TrainMtlOptions) -> tuple[list[Event], SharingReport]:
    events = list(stream(base_options))
    (report,) = [event.report for event in events if isinstance(event, Sharing)]
    return events, report


def cached_options(folder: Path) -> dict[str, dict[str, Any]]:
    """The options of the cached trainings beside a run, by file name."""
    return {path.name: options_of(path) for path in (folder / ".cache" / "baselines").iterdir()}


def options_of(path: Path) -> dict[str, Any]:
    """The options of a cached training."""
    found: dict[str, Any] = json.loads(load_file(path)["record"].tobytes())["options"]
    return found


def log_of(path: Path) -> list[dict[str, Any]]:
    """The log records of a cached training."""
    return [json.loads(line) for line in load_file(path)["log"].tobytes().splitlines()]


def place_of(folder: Path, seed: int, *tasks: str) -> Path:
    """The cache file of the training of these tasks."""
    (name,) = [
        name
        for name, one in cached_options(folder).items()
        if one["seed"] == seed and tuple(text.partition("=")[0] for text in one["task"]) == tasks
    ]
    return folder / ".cache" / "baselines" / name


@pytest.fixture(scope="module")
def base_options(data: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainMtlOptions:
    """Options for two seeds of tasks of different size; the starting model has a head for the first."""
    out = tmp_path_factory.mktemp("sharing") / "run"
    tasks = [f"kind={data / 'kind'}?limit=40", f"state={data / 'state'}"]
    more: dict[str, Any] = {"epochs": 2, "batch_tokens": 256, "dropout": 0.0, "learning_rate": 2e-3, "head_rate": 10.0}
    return TrainMtlOptions(task=tasks, out=out, init=str(runs / "sentence"), baselines=True, seeds=2, **more)


@pytest.fixture(scope="module")
def first(base_options: TrainMtlOptions) -> tuple[list[Event], SharingReport]:
    return compared(base_options)


def out_of(base_options: TrainMtlOptions) -> Path:
    assert base_options.out is not None
    return base_options.out


def test_the_run_is_scored_on_its_test_rows(base_options: TrainMtlOptions, first: tuple[list[Event], SharingReport]) -> None:
    events, report = first
    found = evaluate(EvalOptions(), load(out_of(base_options)))
    assert report.seeds == (0, 1)
    for task in report.tasks:
        assert task.together[0] == found.tasks[task.task].metrics["accuracy"]
        assert (task.split, task.rows) == ("test", found.tasks[task.task].metrics["n"])
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.metrics["sharing"] | report.to_json() == finished.metrics["sharing"]
    assert verify(out_of(base_options)).metrics == json.loads(json.dumps(finished.metrics))


def test_each_training_alone_is_the_one_that_its_options_name(
    base_options: TrainMtlOptions, first: tuple[list[Event], SharingReport], tmp_path: Path
) -> None:
    place = place_of(out_of(base_options).parent, 0, "kind")
    recorded = options_of(place)
    again = replace(
        base_options, **{name: recorded[name] for name in ("task", "batch_tokens", "epoch_by")}, seeds=1, baselines=False
    )
    run = train_mtl(replace(again, out=tmp_path / "alone")).run
    (task,) = [task for task in first[1].tasks if task.task == "kind"]
    assert task.alone[0] == evaluate(EvalOptions(), load(run)).tasks["kind"].metrics["accuracy"]
    texts = [text for text, _ in rows_of(Path(recorded["task"][0].partition("=")[2].partition("?")[0]) / "test.csv")[1:]]
    whole = load(run)
    outputs = whole.engine.outputs(whole.encode(texts), ["kind"])["kind"]
    told = load_file(place)[f"{OUTPUTS}kind"]
    rows = [int(np.abs(outputs - row).sum(1).argmin()) for row in told]  # `limit` leaves some of the test rows, in their order
    assert rows == sorted(rows)
    np.testing.assert_allclose(told, outputs[rows], atol=1e-5)


def test_other_seeds_together_are_the_runs_of_those_seeds(
    base_options: TrainMtlOptions, first: tuple[list[Event], SharingReport], tmp_path: Path
) -> None:
    run = train_mtl(replace(base_options, seed=1, seeds=1, baselines=False, out=tmp_path / "run")).run
    found = evaluate(EvalOptions(), load(run)).tasks
    assert {task.task: task.together[1] for task in first[1].tasks} == {
        name: one.metrics["accuracy"] for name, one in found.items()
    }
    own = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logs = [own, log_of(place_of(out_of(base_options).parent, 1, "kind", "state"))]
    steps = [[line["losses"] for line in log if line["type"] == "step"] for log in logs]
    assert steps[0] == steps[1]


def test_what_was_trained_once_is_found_again(
    base_options: TrainMtlOptions, first: tuple[list[Event], SharingReport], tmp_path: Path
) -> None:
    folder = out_of(base_options).parent
    before = {path: path.stat().st_mtime_ns for path in folder.glob(".cache/baselines/*")}
    events, report = compared(replace(base_options, overwrite=True))
    assert report == first[1]
    assert notes(events).count(", cached in ") == 5
    assert not [line for line in notes(events).splitlines() if line.endswith(": training")]
    told = first[0]
    assert [line for line in notes(told).splitlines() if line.endswith(": training")] == [
        f"{name}, seed {seed}: training"
        for seed, names in ((0, ("kind alone", "state alone")), (1, ("together", "kind alone", "state alone")))
        for name in names
    ]
    own, whole = ([event for event in each if isinstance(event, Progress)] for each in (events, told))
    assert len(own) == len(whole) == own[0].steps
    baselines = [event.baseline for event in told if isinstance(event, BaselineEvent)]
    assert list(dict.fromkeys(baselines)) == [
        *("kind alone, seed 0", "state alone, seed 0"),
        *("together, seed 1", "kind alone, seed 1", "state alone, seed 1"),
    ]
    assert not [event for event in events if isinstance(event, BaselineEvent)]
    assert {path: path.stat().st_mtime_ns for path in folder.glob(".cache/baselines/*")} == before
    assert newest_run(folder, ["mtl"]) == base_options.out  # what is kept is no run to start from


def test_a_damaged_baseline_is_trained_again(
    base_options: TrainMtlOptions, first: tuple[list[Event], SharingReport], caplog: pytest.LogCaptureFixture
) -> None:
    place = place_of(out_of(base_options).parent, 0, "state")
    whole = place.read_bytes()
    outputs = load_file(place)[f"{OUTPUTS}state"]
    at = whole.index(outputs.tobytes())
    place.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    events, report = compared(replace(base_options, overwrite=True))
    assert report == first[1]
    assert [line for line in notes(events).splitlines() if line.endswith(": training")] == ["state alone, seed 0: training"]
    np.testing.assert_array_equal(load_file(place)[f"{OUTPUTS}state"], outputs)
    (warning,) = caplog.messages
    assert warning.startswith(f"{place} is damaged")


@pytest.mark.parametrize(
    "change",
    [{"learning_rate": 1e-3}, {"init": "scratch"}, {"task": ["limit=39", ""]}],
    ids=str,  # `first` has two seeds
)
def test_other_options_data_or_starts_are_other_trainings(
    base_options: TrainMtlOptions, first: tuple[list[Event], SharingReport], change: dict[str, Any], tmp_path: Path
) -> None:
    if "task" in change:
        change = {"task": [base_options.task[0].replace("limit=40", change["task"][0]), base_options.task[1]]}
    shape = {"layers": 1, "dim": 16, "heads": 2, "vocab_size": 300} if "init" in change else {}
    copytree(out_of(base_options).parent / ".cache", tmp_path / ".cache")
    before = set(cached_options(tmp_path))
    events, _ = compared(replace(base_options, **change, **shape, seeds=1, out=tmp_path / "run"))
    assert ", cached in " not in notes(events)
    assert len(set(cached_options(tmp_path)) - before) == 2


def test_where_it_is_written_and_shown_is_no_other_training(
    base_options: TrainMtlOptions, first: tuple[list[Event], SharingReport], tmp_path: Path
) -> None:
    copytree(out_of(base_options).parent / ".cache", tmp_path / ".cache")
    moved = replace(base_options, seeds=1, out=tmp_path / "moved", track_every=1, router=True, cache_memory=0.5)
    events, report = compared(moved)
    assert notes(events).count(", cached in ") == 2
    assert [task.alone for task in report.tasks] == [task.alone[:1] for task in first[1].tasks]


def batches_of(lines: list[dict[str, Any]]) -> tuple[int, int]:
    """Steps of a log, and batches that its epochs counted."""
    states = [state for line in lines for state in line.get("tasks", ()) if line["type"] == "epoch" and line["epoch"]]
    return sum(line["type"] == "step" for line in lines), sum(state["batches"] for state in states)


@pytest.mark.parametrize(
    "mixing",
    [
        pytest.param({"schedule": "round-robin"}, marks=pytest.mark.slow),
        pytest.param({"schedule": "joint", "accumulate": 2}, marks=pytest.mark.slow),
        {"schedule": "proportional", "accumulate": 4},
        {"schedule": "round-robin", "epoch_by": "steps:7", "balance": "dwa", "select": "state"},
    ],
    ids=str,
)
def test_alone_a_task_has_the_batches_that_it_has_together(
    base_options: TrainMtlOptions, mixing: dict[str, Any], tmp_path: Path
) -> None:
    compared(replace(base_options, **mixing, seeds=1, out=tmp_path / "run"))
    lines = list(map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()))
    for name in ("kind", "state"):
        together = sum(
            state["batches"] for line in lines if line.get("epoch") for state in line.get("tasks", ()) if state["task"] == name
        )
        steps, batches = batches_of(log_of(place_of(tmp_path, 0, name)))
        recorded = options_of(place_of(tmp_path, 0, name))
        assert batches == steps * recorded["accumulate"]
        assert abs(batches - together) <= base_options.epochs * recorded["accumulate"] / 2
        assert recorded["batch_tokens"] <= base_options.batch_tokens
        assert (recorded["schedule"], recorded["balance"]) == ("round-robin", "sum")


def test_other_kinds_of_tasks_are_compared(odd_data: Path, runs: Path, tmp_path: Path) -> None:
    _, report = compared(options(odd_data, tmp_path / "run", "stars", "tags", init=str(runs / "mtl"), baselines=True))
    assert {task.task: task.metric for task in report.tasks} == {"stars": "spearman", "tags": "macro_f1"}
    found = evaluate(EvalOptions(), load(tmp_path / "run")).tasks
    for task, metric in zip(report.tasks, ("spearman", "macro_f1"), strict=True):
        # not to the last digit: values that are equal but for rounding may change ranks
        assert task.together == pytest.approx((found[task.task].metrics[metric],), abs=2e-3)
    assert all(0 < task.p[0] <= 1 for task in report.tasks)


def test_without_test_rows_those_of_validation_are_scored(data: Path, runs: Path, tmp_path: Path) -> None:
    alone = write(tmp_path / "kind.csv", rows_of(data / "kind" / "train.csv"))
    tasks = [f"kind={alone}", f"state={data / 'state'}"]
    base_options = options(data, tmp_path / "run", init=str(runs / "sentence"), baselines=True, epochs=1)
    events, report = compared(replace(base_options, task=tasks))
    assert [(task.split, task.rows) for task in report.tasks] == [("validation", 6), ("test", 16)]
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert report.tasks[0].together[0] == finished.metrics["validation"]["kind"]["accuracy"]


@pytest.mark.parametrize("guard", ["lwf", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ewc", "l2sp"))])
def test_guards_hold_alone_what_they_hold_together(odd_data: Path, data: Path, runs: Path, tmp_path: Path, guard: str) -> None:
    more: dict[str, Any] = {"watch": [f"kind={data / 'kind'}"], "guard": [guard], "epochs": 1}
    _, report = compared(options(odd_data, tmp_path / "run", "stars", "tags", init=str(runs / "mtl"), baselines=True, **more))
    assert [task.task for task in report.tasks] == ["stars", "tags"]
    first = next(line for line in log_of(place_of(tmp_path, 0, "stars")) if line["type"] == "step")
    assert set(first["losses"]) == {"stars", f"guard:{guard}"}


def refused(base_options: TrainMtlOptions, what: str, **change: Any) -> None:
    with pytest.raises(UsageError, match=what):
        train_mtl(replace(base_options, **change))


def test_what_cannot_be_compared_is_refused(base_options: TrainMtlOptions, data: Path, runs: Path, tmp_path: Path) -> None:
    base_options = replace(base_options, out=tmp_path / "run")
    refused(base_options, "--seeds 2 repeats what --baselines trains; add --baselines", baselines=False)
    refused(base_options, "--baselines trains each of several tasks alone, and only one trains here", task=base_options.task[:1])
    refused(base_options, "a frozen one is not shared; remove one of them", freeze=["backbone"])
    common: dict[str, Sequence[str] | str] = {"init": str(runs / "mtl"), "watch": [f"kind={data / 'kind'}"]}
    others = [f"{name}={data / 'state'}" for name in ("a", "b")]
    refused(base_options, "and --rehearse kind gives it company; remove one of them", rehearse=["kind"], task=others, **common)
    refused(
        base_options, "and --max-forgetting may stop one training before the other", max_forgetting=1.0, task=others, **common
    )
    place = str(runs / "sentence")
    refused(base_options, r"is the same as --init .*sentence|starts from .*sentence again", out=Path(place), overwrite=True)
    assert not (tmp_path / "run").exists()


def test_a_frozen_head_is_not_among_those_compared(data: Path, odd_data: Path, runs: Path, tmp_path: Path) -> None:
    tasks = [f"kind={data / 'kind'}", *(f"{name}={odd_data / name}" for name in ("stars", "tags"))]
    base_options = options(data, tmp_path / "run", init=str(runs / "mtl"), freeze=["head:kind"], baselines=True, epochs=1)
    _, report = compared(replace(base_options, task=tasks))
    assert [task.task for task in report.tasks] == ["stars", "tags"]
