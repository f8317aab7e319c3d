"""The examples run as typed."""

from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path

import pytest
from forks import Forks

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_own_data_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    run_path(str(EXAMPLES / "own_data.py"), run_name="__main__")
    said = " ".join(capsys.readouterr().out.split())
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
