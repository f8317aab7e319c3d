"""The table of schedules and balances comes out for the samples, and is not worked out twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TABLE = Path(__file__).parents[2] / "examples" / "balancing" / "table.py"
DATA = ["--task", "topic=sample:topic", "--rows", "60", "--task", "sentiment=sample:sentiment", "--rows", "30"]
WAYS = ["--schedules", "joint", "proportional", "--balances", "sum", "--init", "scratch", "--validation", "20", "--test", "50"]
SMALL = ["--layers", "1", "--dim", "32", "--heads", "2", "--vocab-size", "400", "--batch-tokens", "256", "--track-every", "1"]


def run(out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, TABLE, *DATA, *WAYS, "--out", out, "--", *SMALL, "--epochs", "2"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done


def cells(table: str) -> dict[str, list[str]]:
    """The rows of a markdown table by their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
    return {first: rest for first, *rest in rows}


@pytest.mark.slow
def test_each_way_is_trained_once_and_held_against_each_task_alone(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert {line.split(":")[0] for line in first.stderr.splitlines()} == {"joint-sum-0", "proportional-sum-0"}
    sizes, *tables = first.stdout.strip().split("\n\n")
    assert sizes.startswith("rows to train, choose the epoch and score on: topic 60 + 20 + 50, sentiment 30 + 20 + 50; seeds 1;")
    schedules, balances = map(cells, tables)
    assert list(schedules) == ["--schedule, with --balance sum", "---", "each alone", "joint", "proportional"]
    assert list(balances) == ["--balance, with --schedule joint", "---", "each alone", "sum"]
    assert balances["sum"] == schedules["joint"]
    steps = schedules["--schedule, with --balance sum"].index("steps")
    joint, drawn = (int(schedules[way][steps]) for way in ("joint", "proportional"))
    assert drawn == 2 * joint  # a step of `joint` holds a batch of each of two tasks
    alone, together = (list(map(float, schedules[way][:2])) for way in ("each alone", "joint"))
    gains = [(one - other) / other for one, other in zip(together, alone, strict=True)]
    assert abs(float(schedules["joint"][2]) - 100 * sum(gains) / 2) < 0.2
    again = run(tmp_path)
    assert again.stdout == first.stdout
    assert not again.stderr
