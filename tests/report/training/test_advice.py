from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mtlkit.report.training.advice import advice

ROOT = Path(__file__).parents[3]
OPTIONS: dict[str, Any] = {"guard": [], "freeze": ["none"], "schedule": "round-robin", "few_shot": False, "adapter": None}
WATCHED = {"old": {"watched": True}}
LOST = {"task": "old", "metric": "accuracy", "change": -0.06, "interval": [-0.08, -0.04]}
WORSE = {"task": "topic", "metric": "accuracy", "difference": -0.03, "beyond_noise": True}


def row(page: str, start: str) -> str:
    """A row of a table of measurements."""
    return next(line for line in (ROOT / page).read_text(encoding="utf-8").splitlines() if line.startswith(start))


def forgetting(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"forgetting": {"changes": list(changes)}}


def test_a_lost_task() -> None:
    (line,) = advice(OPTIONS, WATCHED, forgetting(LOST), {})
    assert line == (
        "old lost 6.0 points: --guard lwf kept old tasks within 0.6 points in our measurements; see docs/concepts/forgetting"
    )
    changes = re.findall(r"(-?[0-9.]+) \(", row("examples/README.md", "| guard lwf"))[1:]
    assert max(-float(change) for change in changes) == 0.6


def test_a_lost_task_although_lwf_protected_it() -> None:
    (line,) = advice({**OPTIONS, "guard": ["lwf:2"]}, WATCHED, forgetting(LOST), {})
    assert "--adapter lora:8 --adapter-per task left old tasks unchanged" in line
    assert row("examples/README.md", "| adapter of its own, all layers").count("+0.0 (0.0 to 0.0)") == 2


def test_the_task_that_lost_most_is_named() -> None:
    worse = {**LOST, "task": "older", "change": -0.25}
    data = {name: {"watched": True} for name in ("old", "older", "oldest")}
    (line,) = advice(OPTIONS, data, forgetting(LOST, worse), {})
    assert line.startswith("older lost 25.0 points, and 1 other task lost less: --guard lwf")
    (line,) = advice(OPTIONS, data, forgetting(LOST, worse, {**LOST, "task": "oldest"}), {})
    assert line.startswith("older lost 25.0 points, and 2 other tasks lost less: --guard lwf")


def test_a_training_that_was_better_at_its_start_needs_a_lower_learning_rate() -> None:
    watched = {**LOST, "task": "watched", "change": -0.5}
    metrics = {**forgetting(LOST, watched), "best_step": 12, "loss_trends": [{"trend": "still learning"}]}
    data = {"old": {}, "watched": {"watched": True}}
    (line,) = advice({**OPTIONS, "learning_rate": 0.1}, data, metrics, {})
    assert line == "old: the starting model was 6.0 points better before this training: lower --learning-rate, which was 0.1"
    assert advice(OPTIONS, {"old": {}}, forgetting({**LOST, "interval": [-0.08, 0.01]}), {}) == []
    gained = {**LOST, "task": "other", "change": 0.1, "interval": [0.05, 0.15]}
    assert advice(OPTIONS, {"old": {}, "other": {}}, forgetting(LOST, gained), {}) == []


def test_a_loss_that_exploded_needs_a_lower_learning_rate() -> None:
    metrics = {**forgetting(LOST), "validation": {"topic": {"loss": 3.5, "accuracy": 0.25}}}
    (line,) = advice({**OPTIONS, "learning_rate": 0.1}, {**WATCHED, "topic": {}}, metrics, {"topic": 4})
    loss = "topic: its validation loss, 3.50, is far above that of guessing, 1.39"
    assert line == f"{loss}: lower --learning-rate, which was 0.1"
    metrics["validation"]["topic"]["loss"] = 1.5
    (line,) = advice(OPTIONS, {**WATCHED, "topic": {}}, metrics, {"topic": 4})
    assert "--guard lwf" in line


def test_no_advice_on_noise_and_on_tasks_that_train() -> None:
    noise = {**LOST, "interval": [-0.08, 0.01]}
    assert advice(OPTIONS, WATCHED, forgetting(noise, {**LOST, "interval": None}), {}) == []
    assert advice(OPTIONS, {"old": {}, "new": {}}, forgetting(LOST), {}) == []
    assert advice({**OPTIONS, "freeze": ["layers:0,head:old"]}, {"old": {}}, forgetting(LOST), {})
    assert advice({}, {}, {}, {}) == []


def test_a_task_that_is_worse_together() -> None:
    figures = {"proportional": ("61.7", "55.0"), "sequential": ("83.1", "82.1")}
    for schedule, (better, worse) in figures.items():
        (line,) = advice({**OPTIONS, "schedule": schedule}, {}, {"sharing": {"tasks": [WORSE]}}, {})
        assert line.startswith("topic is 3.0 points worse than alone: --schedule round-robin had ")
        assert f"{better} %" in line
        assert f"{worse} %" in line
        assert better in row("examples/README.md", "| round-robin")
        assert worse in row("examples/README.md", f"| {schedule}")
    (line,) = advice(OPTIONS, {}, {"sharing": {"tasks": [WORSE, {**WORSE, "beyond_noise": False}]}}, {})
    assert "no --schedule or --balance did better beyond noise" in line


def test_few_rows_per_class() -> None:
    frozen = {**OPTIONS, "freeze": ["backbone"]}
    data = {"topic": {"train": {"rows": 32}}}
    (line,) = advice(frozen, data, {}, {"topic": 4})
    assert "--few-shot was 9 points better than --freeze backbone on 8 rows per class" in line
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    assert "better than frozen vectors in each, by 9 points on average" in page.replace("\n", " ")
    assert advice(frozen, data, {}, {"topic": 1}) == []
    assert advice({**frozen, "few_shot": True}, data, {}, {"topic": 4}) == []
    assert advice(OPTIONS, data, {}, {"topic": 4}) == []


def test_few_steps() -> None:
    found = {"best_step": 12, "loss_trends": [{"trend": "overfitted"}, {"trend": "still learning", "task": "topic"}]}
    (line,) = advice(OPTIONS, {}, found, {})
    assert line.startswith("12 steps are few: 60 (--min-steps 60) were 4.8 points better than 6 to 12")
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8").replace("\n", " ")
    assert "are better than six epochs without a minimum, 6 to 12 steps, by 4.8 points" in page
    assert advice(OPTIONS, {}, {**found, "best_step": 13}, {}) == []
    trend = {"trend": "still learning", "task": "topic", "epochs": 6}
    assert advice(OPTIONS, {}, {"best_step": 2, "best_epoch": 1, "loss_trends": [trend]}, {}) == [line]
    assert advice(OPTIONS, {}, {"best_step": 12, "best_epoch": 5, "loss_trends": [trend]}, {}) == []
    assert advice(OPTIONS, {}, {**found, "loss_trends": [{"trend": "overfitted"}]}, {}) == []


def test_at_most_two_lines() -> None:
    found = {"best_step": 12, "loss_trends": [{"trend": "still learning", "task": "topic"}]}
    metrics = {**forgetting(LOST), "sharing": {"tasks": [WORSE]}, **found}
    assert len(advice(OPTIONS, WATCHED, metrics, {})) == 2
