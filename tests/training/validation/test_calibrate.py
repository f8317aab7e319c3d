from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import Encoding
from mtlkit.config.calibration import Calibration
from mtlkit.data.datasets.task_data import TaskData
from mtlkit.evaluation.task_metrics import score
from mtlkit.inference.predictions import answers, probabilities
from mtlkit.model.checkpoint import load_model, save_model
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.report.training.messages import training_messages
from mtlkit.training.events import Note
from mtlkit.training.head_incidents import CalibrationFitted
from mtlkit.training.validation import calibrate as calibration_of_heads
from mtlkit.training.validation.calibrate import calibrate

Run = Callable[..., Any]


def test_every_trained_head_is_calibrated(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    old = Calibration("temperature", 7.0, rows=3)
    tiny_model.head("topic").spec = replace(tiny_model.tasks["topic"], calibration=old)
    done = run(tiny_model, tasks, ["head:topic"])
    fitted = {event.task: event for event in done.events if isinstance(event, CalibrationFitted)}
    assert list(fitted) == ["tags"]
    assert tiny_model.tasks["topic"].calibration == old  # frozen
    assert tiny_model.tasks["tags"].thresholds == fitted["tags"].thresholds
    assert tiny_model.tasks["stars"].calibration is None
    (record,) = [line for line in done.log if line.get("event") == "calibration_fitted"]
    assert record["task"] == "tags"
    assert record["rows"] == len(tasks["tags"].validation)
    assert (record["after"]["macro_f1"] or 0) >= (record["before"]["macro_f1"] or 0)


@pytest.mark.parametrize("epochs", [1, 4])
def test_the_best_weights_are_calibrated(epochs: int, tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, {"topic": tasks["topic"]}, epochs=epochs, learning_rate=2e-2)
    (fitted,) = [event for event in done.events if isinstance(event, CalibrationFitted)]
    best = max((one for one in done.epochs), key=lambda one: (one.score, -one.tasks[0].validation["loss"]))
    assert fitted.before["accuracy"] == pytest.approx(best.tasks[0].validation["accuracy"])
    assert fitted.before["log_loss"] == pytest.approx(best.tasks[0].validation["loss"], rel=1e-4)
    assert fitted.after["accuracy"] == fitted.before["accuracy"]


def test_no_calibration_on_request(tiny_model: MultiTaskModel, tasks: dict[str, TaskData], run: Run) -> None:
    done = run(tiny_model, tasks, calibrate="none", epochs=1)
    assert not [event for event in done.events if isinstance(event, CalibrationFitted)]
    assert all(spec.calibration is None for spec in tiny_model.tasks.values())


def test_a_saved_model_keeps_its_calibration(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path, "mtl", Encoding(32))
    assert "calibration" not in (tmp_path / "config.json").read_text()
    outputs, labels = np.tile(np.float32([3, -3]), (50, 1)), (np.arange(50) >= 40).astype(np.int64)
    fitted = calibrate(tiny_model, "topic", outputs, labels, "cross-validation")
    assert fitted is not None
    assert fitted.after["log_loss"] < fitted.before["log_loss"]
    save_model(tiny_model, tmp_path, "mtl", Encoding(32))
    stored = json.loads((tmp_path / "config.json").read_text())["tasks"][0]["calibration"]
    assert stored == {
        "method": "temperature",
        "temperature": fitted.temperature,
        "fitted_on": "cross-validation",
        "rows": 50,
    }
    loaded, _ = load_model(tmp_path)
    assert loaded.tasks["topic"].calibration == tiny_model.tasks["topic"].calibration
    (message,) = training_messages(fitted)
    assert "50 rows by cross-validation" in message.text
    assert f"temperature {fitted.temperature:.3g}" in message.text


def test_probabilities_and_decisions_follow_the_calibration(tiny_model: MultiTaskModel) -> None:
    topic = replace(tiny_model.tasks["topic"], calibration=Calibration("temperature", 2.0))
    outputs = np.float32([[4, 0]])
    assert probabilities(topic, outputs)[0, 0] == pytest.approx(1 / (1 + np.exp(-2)))
    tags = replace(tiny_model.tasks["tags"], calibration=Calibration("thresholds", thresholds=(0.9, 0.2, 0.5)))
    outputs = np.float32([[1, -1, -1]])
    assert answers(tags, outputs)[0]["labels"] == ["b"]
    assert score(tags, outputs, np.float32([[0, 1, 0]]))["accuracy"] == 1.0
    assert answers(tags.uncalibrated(), outputs)[0]["labels"] == ["a"]


def test_a_regression_has_no_calibration(tiny_model: MultiTaskModel) -> None:
    assert calibrate(tiny_model, "stars", np.zeros((3, 1), np.float32), np.zeros(3, np.float32), "validation") is None


def test_a_handful_of_rows_does_not_calibrate(tiny_model: MultiTaskModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration_of_heads, "LEAST", 20)
    outputs, labels = np.tile(np.float32([3, -3]), (4, 1)), (np.arange(4) >= 3).astype(np.int64)
    message = calibrate(tiny_model, "topic", outputs, labels, "validation")
    assert isinstance(message, Note)
    assert "4 rows" in message.text
    marks = (np.arange(57).reshape(19, 3) % 2).astype(np.float32)
    assert isinstance(calibrate(tiny_model, "tags", marks, marks, "validation"), Note)
    assert tiny_model.tasks["topic"].calibration is None
    assert calibrate(tiny_model, "stars", np.zeros((3, 1), np.float32), np.zeros(3, np.float32), "validation") is None


def test_a_temperature_never_worsens_the_rows_that_it_is_fitted_on(tiny_model: MultiTaskModel) -> None:
    labels = np.arange(40) % 2
    outputs = np.stack([9.0 - 18.0 * labels, 18.0 * labels - 9.0], 1).astype(np.float32)  # all right, and sure of it
    fitted = calibrate(tiny_model, "topic", outputs, labels, "validation")
    assert isinstance(fitted, CalibrationFitted)
    assert fitted.temperature == 1.0
    assert fitted.after == fitted.before
