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


def test_no_advice_on_noise_and_on_tasks_that_train() -> None:
    noise = {**LOST, "interval": [-0.08, 0.01]}
    assert advice(OPTIONS, WATCHED, forgetting(noise, {**LOST, "interval": None}), {}) == []
    assert advice(OPTIONS, {"old": {}}, forgetting(LOST), {}) == []
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
    assert advice(OPTIONS, {}, {**found, "loss_trends": [{"trend": "overfitted"}]}, {}) == []


def test_at_most_two_lines() -> None:
    found = {"best_step": 12, "loss_trends": [{"trend": "still learning", "task": "topic"}]}
    metrics = {**forgetting(LOST), "sharing": {"tasks": [WORSE]}, **found}
    assert len(advice(OPTIONS, WATCHED, metrics, {})) == 2
