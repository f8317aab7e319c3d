"""The best weights of each task as separate runs, tasks that stop early, and evaluations within an epoch: in the run and its
curves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cutting import assert_same_weights
from support import notes, options

from mtlkit.config.commands.run_commands import CurvesOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import load_weights
from mtlkit.recipes.curves import curves
from mtlkit.recipes.train_mtl import stream
from mtlkit.runs.record import newest_run, verify
from mtlkit.training.events import Chosen, Epoch, Event, Finished, Progress

TASKS = ("kind", "state")


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(data: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """A run with the best weights of each task and the messages of its training, with frozen embeddings and extra evaluations."""
    out = tmp_path_factory.mktemp("bests") / "run"
    more = {"keep_best_per_task": True, "eval_every": 3, "freeze": ["embeddings"], "learning_rate": 2e-3, "epochs": 3}
    return out, list(stream(options(data, out, *TASKS, init=str(runs / "sentence"), **more)))


def test_each_best_is_a_run_with_the_weights_of_that_moment(trained: tuple[Path, list[Event]], runs: Path) -> None:
    out, events = trained
    verify(out)
    start, whole = load_weights(runs / "sentence").model, load_weights(out).model
    best_weights = {best.task: best for event in events if isinstance(event, Chosen) for best in event.bests}
    assert list(best_weights) == list(TASKS)
    assert sorted(path.name for path in (out / "best").iterdir()) == sorted(TASKS)
    for name, best in best_weights.items():
        record = verify(out / "best" / name)
        assert record.metrics == {"task": name, "score": best.score, "best_epoch": best.epoch, "best_step": best.step}
        assert (record.stage, record.options) == ("mtl", verify(out).options)
        found = dict(load_weights(out / "best" / name).model.named_parameters())
        assert best.weights is not None
        assert_same_weights({weight: found[weight].detach() for weight in best.weights}, best.weights)
        others = {weight: found[weight].detach() for weight in found.keys() - best.weights.keys()}
        assert "backbone.tokens.weight" in others
        assert_same_weights(others, {weight: dict(start.named_parameters())[weight].detach() for weight in others})
    chosen = next(event.epoch for event in events if isinstance(event, Chosen))
    same = next((best for best in best_weights.values() if best.step == chosen.step), None)
    if same:
        assert_same_weights(load_weights(out / "best" / same.task).model.state_dict(), whole.state_dict())


def test_its_answers_are_those_of_a_model(trained: tuple[Path, list[Event]]) -> None:
    out, _ = trained
    texts = ["The cat sleeps near the river.", "A saw lies broken on the shelf."]
    for name in TASKS:
        model = load(out / "best" / name)
        assert model.embed(texts).shape == (2, 32)
        assert [set(answer) for answer in model.predict(texts)] == [set(TASKS)] * 2
    assert newest_run(out.parent, ("mtl",)) == out  # and not one of those within


def test_its_heads_are_calibrated_and_reject(trained: tuple[Path, list[Event]]) -> None:
    out, events = trained
    for best in (best for event in events if isinstance(event, Chosen) for best in event.bests):
        model = load(out / "best" / best.task)
        for task in TASKS:
            assert model.specs[task].calibration == best.specs[task].calibration is not None
        (answer,) = model.predict(["The cat sleeps near the river."], reject="auto")
        assert all("rejected" in answer[task] for task in TASKS)


def test_the_record_names_when_each_task_was_at_its_best(trained: tuple[Path, list[Event]]) -> None:
    out, events = trained
    metrics = verify(out).metrics
    assert metrics["best_per_task"] == {
        best.task: {"score": best.score, "epoch": best.epoch, "step": best.step}
        for event in events
        if isinstance(event, Chosen)
        for best in event.bests
    }
    chosen = next(event.epoch for event in events if isinstance(event, Chosen))
    assert (metrics["score"], metrics["best_epoch"], metrics["best_step"]) == (chosen.score, chosen.epoch, chosen.step)
    evaluations = [event for event in events if isinstance(event, Epoch) and event.epoch]
    assert chosen == [event for event in evaluations if event.best][-1]
    for name, best in metrics["best_per_task"].items():
        scores = {
            event.step: state.validation["accuracy"] for event in evaluations for state in event.tasks if state.task == name
        }
        assert best["score"] == max(scores.values()) == scores[best["step"]]


def test_curves_have_a_point_per_evaluation_and_epoch(trained: tuple[Path, list[Event]]) -> None:
    out, events = trained
    steps = max(event.step for event in events if isinstance(event, Progress))
    assert steps == 24
    looks = sorted({0, *range(3, 25, 3), 8, 16, 24})
    told = {event.step: event for event in events if isinstance(event, Epoch)}
    assert sorted(told) == looks
    found = curves(CurvesOptions(run=out)).curves
    assert found.epochs == (8, 16, 24)
    for place, name in enumerate(TASKS):
        task = found.tasks[place]
        assert (task.task, task.metric) == (name, "accuracy")
        known = [step for step in looks if name in {state.task for state in told[step].tasks}]
        assert task.validation.steps == task.scores.steps == tuple(known)
        states = [next(state for state in told[step].tasks if state.task == name) for step in known]
        assert task.scores.values == tuple(state.validation["accuracy"] for state in states)
    lines = [line for line in lines_of(out) if line["type"] == "validation"]
    assert [line["step"] for line in lines] == [step for step in looks if step % 8]


def test_without_them_there_is_no_folder_of_bests(data: Path, runs: Path, tmp_path: Path) -> None:
    asked = options(data, tmp_path / "run", *TASKS, init=str(runs / "sentence"), epochs=1)
    (*_, finished) = stream(asked)
    assert isinstance(finished, Finished)
    assert not (tmp_path / "run" / "best").exists()
    assert set(finished.metrics["best_per_task"]) == set(TASKS)
    (*_, alone) = stream(replace(asked, task=asked.task[:1], overwrite=True))
    assert isinstance(alone, Finished)
    assert "best_per_task" not in alone.metrics


def test_one_task_alone_may_keep_its_best_too(data: Path, runs: Path, tmp_path: Path) -> None:
    asked = options(data, tmp_path / "run", "kind", init=str(runs / "sentence"), epochs=2, keep_best_per_task=True)
    list(stream(asked))
    found, best = (load_weights(place).model.state_dict() for place in (tmp_path / "run", tmp_path / "run" / "best" / "kind"))
    assert_same_weights(best, found)


def test_resumed_training_keeps_earlier_best_weights(data: Path, runs: Path, tmp_path: Path) -> None:
    """Cut after every step that is saved: the same runs within the run."""
    common: dict[str, Any] = {"keep_best_per_task": True, "eval_every": 3, "save_every": "1", "epochs": 1, "learning_rate": 2e-3}
    asked = options(data, tmp_path / "whole", *TASKS, init=str(runs / "sentence"), **common)
    list(stream(asked))
    expected = verify(tmp_path / "whole").metrics["best_per_task"]
    for steps in (2, 5, 7):
        out = tmp_path / f"cut{steps}"
        events = stream(replace(asked, out=out))
        while not (isinstance(event := next(events), Progress) and event.step == steps):
            pass
        events.close()  # type: ignore[attr-defined]
        list(stream(TrainMtlOptions(resume=str(out))))
        assert verify(out).metrics["best_per_task"] == expected
        for name in TASKS:
            found, whole = (load_weights(place / "best" / name).model.state_dict() for place in (out, tmp_path / "whole"))
            assert_same_weights(found, whole)


def test_a_task_without_better_scores_leaves(data: Path, runs: Path, tmp_path: Path) -> None:
    """At a rate of zero nothing ever gets better: both leave, and nothing is left to train."""
    asked = options(data, tmp_path / "run", *TASKS, init=str(runs / "mtl"), epochs=9, task_patience=2, learning_rate=0.0)
    events = list(stream(asked))
    said = notes(events)
    for name in TASKS:
        assert f"{name} stops training: best score " in said
    assert said.count("was in epoch 1") == 2
    assert "stopped: no task is left to train" in said
    assert [event.epoch for event in events if isinstance(event, Epoch)] == [0, 1, 2, 3]
    record = verify(tmp_path / "run")
    assert record.metrics["best_epoch"] == 1
    assert {best["epoch"] for best in record.metrics["best_per_task"].values()} == {1}
    assert record.options["task_patience"] == 2
    assert "--task-patience 2" in record.command
