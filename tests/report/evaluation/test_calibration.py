from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from mtlkit.evaluation.calibration import forecast_of_classes, forecast_of_labels
from mtlkit.evaluation.reliability import Reliability, reliability
from mtlkit.report.evaluation.calibration import reliability_line, reliability_table
from mtlkit.report.evaluation.calibration_plot import reliability_picture
from mtlkit.report.plots import METADATA

PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.95, 0.05]])
CLASSES = reliability(forecast_of_classes(PROBABILITIES, np.array([0, 0, 0, 0])), np.random.default_rng(0))
LABELS = reliability(forecast_of_labels(PROBABILITIES, np.eye(4, 2)), np.random.default_rng(0))


def shown(found: Reliability, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(reliability_table("topic", found))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_a_table_of_classes_and_of_labels() -> None:
    lines = shown(CLASSES).splitlines()
    assert "topic: reliability" in lines[0]
    assert len([line for line in lines if " % " in line and " to " in line and "95" not in line.split()[0]]) >= 3
    assert "confidence" in lines[2]
    assert "all 2 labels" in shown(LABELS).splitlines()[0]
    assert "+70.0" in shown(CLASSES)


def test_a_line_has_all_figures() -> None:
    text = reliability_line("topic", CLASSES).plain
    for title in ("topic", "expected calibration error", "95 %", "Brier score", "log-loss"):
        assert title in text


@pytest.mark.parametrize("format", METADATA)
def test_pictures_do_not_depend_on_the_time(format: str) -> None:
    pytest.importorskip("matplotlib")
    tasks = {"topic": CLASSES, "[/]$x$": LABELS}
    picture = reliability_picture(tasks, format)
    assert picture[:4] in (b"\x89PNG", b"<?xm", b"%PDF")
    assert reliability_picture(tasks, format) == picture
