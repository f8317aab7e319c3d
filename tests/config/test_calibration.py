from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import Calibration

SPEC = TaskSpec("tags", "multi-label", ("a", "b"))
TEMPERATURE = Calibration("temperature", 1.5, fitted_on="cross-validation", rows=40)
THRESHOLDS = Calibration("thresholds", thresholds=(0.25, 0.5), rows=9)


@pytest.mark.parametrize(("kind", "calibration"), [("classification", TEMPERATURE), ("multi-label", THRESHOLDS)])
def test_a_calibration_survives_json(kind: str, calibration: Calibration) -> None:
    spec = replace(SPEC, kind=kind, calibration=calibration)
    read = TaskSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert read.calibration == calibration
    assert (read.temperature, read.thresholds) == (calibration.temperature, calibration.thresholds)


def test_a_task_without_calibration_is_written_as_before() -> None:
    assert SPEC.to_json() == {
        "name": "tags",
        "kind": "multi-label",
        "labels": ("a", "b"),
        "head": "linear",
        "center": 0.0,
        "spread": 1.0,
    }
    assert TaskSpec.from_json({**SPEC.to_json(), "labels": ["a", "b"]}).calibration is None


def test_a_calibration_does_not_make_a_head_another() -> None:
    calibrated = replace(SPEC, calibration=THRESHOLDS)
    assert calibrated == SPEC
    assert hash(calibrated) == hash(SPEC)
    assert calibrated.uncalibrated().calibration is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "temperature", "temperature": 0.0},
        {"method": "temperature", "temperature": "1"},
        {"method": "temperature", "thresholds": [0.5, 0.5]},
        {"method": "thresholds", "thresholds": []},
        {"method": "thresholds", "thresholds": [0.5, 1.5]},
        {"method": "thresholds", "thresholds": [0.5]},
        {"method": "isotonic"},
        {"method": "temperature", "scale": 2.0},
        "temperature",
    ],
    ids=str,
)
def test_a_damaged_calibration_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"calibration|threshold|field"):
        TaskSpec.from_json({"name": "tags", "kind": "multi-label", "labels": ["a", "b"], "calibration": wrong})
