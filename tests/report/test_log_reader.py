from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtlkit.errors import IntegrityError, UsageError
from mtlkit.report.log_reader import Kept, Series, read_curves, smooth, usual_span
from mtlkit.runs.record import LOG

STATE = {"task": "topic", "kind": "classification", "validation": {"loss": 0.5, "accuracy": 0.75, "macro_f1": 0.7}}


def log(folder: Path, *lines: Any, end: str = "") -> Path:
    """A log of these lines, and what comes after the last."""
    path = folder / LOG
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + end)
    return path


def step(number: int, loss: float | None, **more: Any) -> dict[str, Any]:
    return {"step": number, "losses": {"topic": loss}, "gradient_norm": 2.0, "rate": 0.1, **more}


def test_what_a_real_training_wrote(runs: Path) -> None:
    """Against the lines themselves, read by hand."""
    lines = [json.loads(line) for line in (runs / "mtl" / LOG).read_text().splitlines()]
    found = read_curves(runs / "mtl" / LOG)
    steps = [line for line in lines if "losses" in line]
    assert [task.task for task in found.tasks] == ["kind", "state"]
    assert found.gradient_norm.values == tuple(line["gradient_norm"] for line in steps)
    assert (found.epochs[-1], len(found.epochs), found.guards) == (len(steps), 10, {})
    for place, task in enumerate(found.tasks):
        train = {line["step"]: line["losses"][task.task] for line in steps if task.task in line["losses"]}
        assert task.train == Series(tuple(train), tuple(train.values()))
        states = [line["tasks"][place]["validation"] for line in lines if "tasks" in line]
        assert task.validation == Series((0, *found.epochs), tuple(state["loss"] for state in states))
        assert (task.metric, task.scores.values) == ("accuracy", tuple(state["accuracy"] for state in states))


def test_a_base_has_the_loss_of_the_next_token(runs: Path) -> None:
    found = read_curves(runs / "pretrain" / LOG)
    (task,) = found.tasks
    last = json.loads((runs / "pretrain" / LOG).read_text().splitlines()[-1])
    assert (task.task, task.metric, len(task.scores)) == ("next token", "", 0)
    assert task.validation == Series((last["step"],), (last["tasks"][0]["validation"]["loss"],))
    assert len(task.train) == len(found.gradient_norm) == last["step"]


def test_guards_are_separate_and_every_kind_has_its_metric(tmp_path: Path) -> None:
    stars = {"task": "stars", "kind": "regression", "validation": {"loss": 2.0, "pearson": 0.5, "spearman": 0.25}}
    pairs = {"task": "pairs", "kind": "pairs", "validation": {"loss": 3.0, "accuracy": 0.125}}
    losses = {"losses": {"topic": 1.5, "guard:l2sp": 0.25}, "gradient_norm": 1.0}
    found = read_curves(log(tmp_path, {"epoch": 0, "tasks": [STATE, stars, pairs]}, {"step": 1, **losses}))
    assert found.guards == {"l2sp": Series((1,), (0.25,))}
    assert [(task.task, task.metric, task.scores.values) for task in found.tasks] == [
        ("topic", "accuracy", (0.75,)),
        ("stars", "spearman", (0.25,)),
        ("pairs", "accuracy", (0.125,)),
    ]


@pytest.mark.parametrize("end", ['{"step": 3, "losses": {"topic": 0.', "\0\0\0\0", '{"step": 3, "losses": {"topic": "\xff'])
def test_a_last_line_that_is_cut_off_is_left_out(tmp_path: Path, end: str) -> None:
    found = read_curves(log(tmp_path, step(1, 0.5), step(2, 0.25), end=end))
    assert found.tasks[0].train == Series((1, 2), (0.5, 0.25))


def test_what_is_not_a_finite_number_is_left_out(tmp_path: Path) -> None:
    """As of steps that were skipped, and of losses that are null."""
    odd = [step(2, None), step(3, float("nan"), skipped=True), {**step(4, 0.5), "gradient_norm": float("inf")}]
    no_loss = {**STATE, "validation": {"loss": None, "accuracy": None}}
    found = read_curves(log(tmp_path, step(1, 1.0), *odd, {"epoch": 1, "tasks": [no_loss]}))
    assert found.tasks[0].train == Series((1, 4), (1.0, 0.5))
    assert found.gradient_norm.steps == (1, 2, 3)
    assert (len(found.tasks[0].validation), len(found.tasks[0].scores)) == (0, 0)


def test_lines_of_other_kinds_and_steps_that_come_again(tmp_path: Path) -> None:
    """A training resumed from step 1 writes step 2 again; an evaluation may name its step."""
    lines = [step(1, 1.0), step(2, 9.0), {"tracking": {"steps": 3}}, step(2, 0.5), {"step": 2, "tasks": [STATE]}, step(3, 0.25)]
    found = read_curves(log(tmp_path, *lines))
    assert found.tasks[0].train == Series((1, 2, 3), (1.0, 0.5, 0.25))
    assert (found.tasks[0].validation, found.epochs) == (Series((2,), (0.5,)), ())


@pytest.mark.parametrize("line", ["{", "[1]", "3", '{"step": null}', '{"step": 2, "losses": 3}', '{"epoch": 1, "tasks": [{}]}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = log(tmp_path, step(1, 0.5), end=line + "\n")
    with pytest.raises(IntegrityError, match=f"^{path}:2: not a line of a training log"):
        read_curves(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"{tmp_path / LOG} cannot be read: missing"):
        read_curves(tmp_path / LOG)


def test_smoothing_has_no_bias_towards_its_start() -> None:
    assert smooth([3.0] * 50, 10) == pytest.approx([3.0] * 50)
    # by hand, with b = 3/4: (b^2 x_1 + b x_2 + x_3) / (b^2 + b + 1)
    assert smooth([1.0, 2.0, 4.0], 4) == pytest.approx([1.0, (0.75 + 2) / 1.75, (0.5625 + 1.5 + 4) / 2.3125])
    assert smooth([1.0, 5.0, -2.0], 1) == [1.0, 5.0, -2.0]
    ramp = smooth([float(value) for value in range(1000)], 20)
    assert ramp[-1] == pytest.approx(999 - 19)  # lags by span - 1
    assert smooth([], 5) == []


def test_a_span_grows_with_the_training() -> None:
    assert [usual_span(points) for points in (0, 1, 9, 100, 10_000)] == [1, 1, 3, 10, 100]
    values = Series(tuple(range(1, 101)), tuple(float(step % 7) for step in range(100)))
    assert values.smoothed() == values.smoothed(10) != values.smoothed(20)
    assert values.smoothed(1) == values


def test_records_of_schema_2_give_the_curves_of_the_logs_before(tmp_path: Path) -> None:
    def steps(number: int, loss: float) -> list[dict[str, Any]]:
        common = {"step": number, "losses": {"topic": loss}, "gradient_norm": 2.0}
        return [
            {**common, "rate": 0.1},
            {"type": "step", "epoch": 1, **common, "learning_rate": 0.1, "seconds": 1.0, "tokens": 9},
        ]

    old, new = zip(steps(1, 2.0), steps(2, 1.0), strict=True)
    evaluations = [
        {"type": "validation", "step": 1, "epoch": 1, "score": 0.5, "best": True, "tasks": [STATE]},
        {"type": "event", "event": "task_stopped", "step": 2, "task": "topic"},
        {"type": "epoch", "step": 2, "epoch": 1, "score": 0.5, "best": False, "tasks": [STATE]},
    ]
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    lines = [old[0], {"step": 1, "tasks": [STATE]}, old[1], {"epoch": 1, "tasks": [STATE]}]
    before.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    lines = [{"type": "header", "schema": 2}, new[0], evaluations[0], new[1], *evaluations[1:]]
    after.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert replace(read_curves(after), kept=None) == read_curves(before)
    assert read_curves(after).kept == Kept(1, 1)
    assert read_curves(after).epochs == (2,)
