from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Typed


def test_json_has_figures_with_intervals_and_bins(typed: Typed, mtl: Path) -> None:
    answer = typed("eval", "--model", mtl, "--json")
    for found in json.loads(answer.out)["tasks"].values():
        calibration = found["calibration"]
        for name in ("expected_calibration_error", "brier", "log_loss"):
            low, high = calibration[f"{name}_interval"]
            assert low <= calibration[name]
            assert low <= high
        assert sum(one["count"] for one in calibration["bins"]) == found["n"]
        right = sum(one["accuracy"] * one["count"] for one in calibration["bins"])
        assert right == pytest.approx(found["accuracy"] * found["n"])


def test_a_table_and_a_picture(typed: Typed, mtl: Path) -> None:
    pytest.importorskip("matplotlib")
    answer = typed("eval", "--model", mtl, "--calibration", "--output", "r.svg")
    assert answer.code == 0, answer.err
    for text in ("kind: reliability", "confidence", "gap", "expected calibration error", "Brier score", "log-loss"):
        assert text in answer.out
    picture = Path("r.svg").read_text()
    assert picture.startswith("<?xml")
    assert "kind" in picture
    assert "expected calibration error" in typed("eval", "--model", mtl).out


def test_a_base_has_no_probabilities_to_show(typed: Typed, runs: Path) -> None:
    answer = typed("eval", "--model", runs / "pretrain", "--calibration")
    assert answer.code == 2
    assert "probabilities of heads" in answer.err
    assert "has none" in answer.err


def test_a_picture_of_confusion_matrices(typed: Typed, mtl: Path) -> None:
    answer = typed("eval", "--model", mtl, "--confusion", "--output", "c.svg")
    assert answer.code == 0, answer.err
    assert "confusion matrices written to c.svg" in answer.err
    assert "predicted" in Path("c.svg").read_text()
