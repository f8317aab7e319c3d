"""trackio's database, read by trackio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracked_training import Training

pytest.importorskip("trackio")
pytestmark = pytest.mark.slow
READ = """
import json
from trackio.sqlite_storage import SQLiteStorage as Storage
(run,) = Storage.get_runs("mtlkit")
print(json.dumps([run, Storage.get_logs("mtlkit", run), Storage.get_run_config("mtlkit", run)]))
"""


def test_a_resumed_training_is_one_run_with_every_step_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACKIO_DIR", "TRACKIO_PROJECT", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    training = Training(tmp_path, "trackio")
    training.stopped_and_resumed()
    assert not training.warnings
    environment = {**os.environ, "TRACKIO_DIR": str(training.folder / "trackio")}  # it is read when trackio is imported
    answer = subprocess.run([sys.executable, "-c", READ], env=environment, capture_output=True, text=True, check=True)
    run, logs, config = json.loads(answer.stdout.splitlines()[-1])
    assert run.startswith("mtl-")
    losses = [(point["step"], point["loss/topic"]) for point in logs if "loss/topic" in point]
    assert losses == [(step, 1 / step) for step in range(1, 7)]
    assert [point["step"] for point in logs if "validation/topic/accuracy" in point] == [6]
    assert [point["final/score"] for point in logs if "final/score" in point] == [0.5]
    assert config["task"] == "topic=a.csv, <b>"
