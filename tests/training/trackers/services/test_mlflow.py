"""MLflow's file store, read by MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracked_training import Training

mlflow = pytest.importorskip("mlflow")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def test_a_resumed_training_is_one_run_with_every_step_once(tmp_path: Path) -> None:
    training = Training(tmp_path, "mlflow")
    training.stopped_and_resumed()
    assert not training.warnings
    client = mlflow.MlflowClient((training.folder / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("mtlkit").experiment_id
    (run,) = client.search_runs([experiment])
    assert (run.info.run_name, run.info.status) == ("mtl", "FINISHED")
    assert run.data.params == {"epochs": "3", "task": "topic=a.csv, <b>", "size": "xs"}
    losses = client.get_metric_history(run.info.run_id, "loss/topic")
    assert [(metric.step, metric.value) for metric in losses] == [(step, 1 / step) for step in range(1, 7)]
    assert run.data.metrics["final/score"] == 0.5


def test_a_server_that_does_not_answer_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MTLKIT_TRACK_WAIT", "1")
    training = Training(tmp_path, "mlflow")
    with training.start() as trackers:
        training.write(1, 2)
        training.until(trackers, lambda: bool(training.warnings))
        training.finish(trackers)
    assert "127.0.0.1" in training.warnings[0]
    assert "3 of 3 records were not sent" in training.warnings[1]
