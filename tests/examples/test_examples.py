"""The examples run as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from forks import Forks

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_own_data_script(tmp_path: Path) -> None:
    command = [sys.executable, EXAMPLES / "own_data.py"]
    process = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240)
    assert process.returncode == 0, process.stderr
    said = " ".join(process.stdout.split())
    assert "my order? -> delivery" in said
    assert "card twice. -> billing" in said
    assert "vectors: (2, 128)" in said


def test_two_tasks_configuration(tmp_path: Path, forks: Forks) -> None:
    process = forks.start(
        "train-mtl", "--config", EXAMPLES / "two_tasks.toml", "--layers", 1, "--dim", 32, "--epochs", 1, "--json", cwd=tmp_path
    )
    assert process.wait() == 0, process.err
    result = json.loads(process.out)
    assert result["run"] == "runs/two-tasks"
    assert set(result["metrics"]["validation"]) == {"topic", "sentiment"}
    assert "sentiment: 300 rows" in process.err
