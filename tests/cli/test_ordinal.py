"""Ordinal tasks in every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TRAINED, write_csv

import mtlkit
from mtlkit.inference.predictions import sigmoid
from mtlkit.model.interop.head_files import apply_heads

ORDER = ("low", "mid", "high")
WORDS = {"low": ["dreadful", "poor"], "mid": ["fair", "plain"], "high": ["good", "superb"]}
PLACES = ["hall", "garden", "kitchen", "stairs"]


@pytest.fixture
def moods(tmp_path: Path) -> Path:
    """A folder of labels with an order, train and test."""
    rows = [(f"The {place} is {word}.", label) for label, words in WORDS.items() for word, place in product(words, PLACES)]
    write_csv(tmp_path / "moods" / "train.csv", rows)
    write_csv(tmp_path / "moods" / "test.csv", [(text.replace("The", "That"), label) for text, label in rows])
    return tmp_path / "moods"


def flags(**options: Any) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]


def test_every_command_works(moods: Path, runs: Path, data: Path, tmp_path: Path, typed: Callable[..., Any]) -> None:
    source, out = f"mood={moods}?order={','.join(ORDER)}", tmp_path / "run"
    assert "ordinal" in typed("check-data", "--task", source, "--model", runs / "mtl").out
    trained = typed("train-mtl", "--task", source, "--init", runs / "mtl", "--out", out, "--freeze", "backbone")
    assert trained.code == 0, trained.err
    assert "L-BFGS" in trained.err
    spec = next(task for task in json.loads((out / "config.json").read_text())["tasks"] if task["name"] == "mood")
    assert (spec["kind"], spec["labels"], spec["calibration"]["method"]) == ("ordinal", list(ORDER), "temperature")

    metrics = json.loads(typed("eval", "--model", out, "--task", f"mood={moods}", "--json").out)["tasks"]["mood"]
    low, high = metrics["quadratic_kappa_interval"]
    assert low <= metrics["quadratic_kappa"] <= high
    assert np.trace(metrics["confusion"]) / metrics["n"] == metrics["accuracy"]
    assert {"mae", "mae_interval", "calibration", "macro_f1"} <= set(metrics)
    assert "order: low, mid, high" in typed("eval", "--model", out, "--task", f"mood={moods}", "--confusion").err

    answer = json.loads(typed("predict", "The hall is superb.", "--model", out, "--task", "mood").out)["tasks"]["mood"]
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    assert "ordinal" in typed("info", out).out
    assert typed("export", out, tmp_path / "export").code == 0
    assert "sigmoid of column k" in (tmp_path / "export" / "README.md").read_text()
    model = mtlkit.load(out)
    outputs = apply_heads(str(tmp_path / "export"), torch.from_numpy(model.embed(["The hall is superb."])))["mood"].numpy()
    assert sigmoid(outputs)[0, 0] == pytest.approx(answer["probabilities"]["low"], rel=1e-4)
    read = mtlkit.load(tmp_path / "export").predict(["The hall is superb."])[0]["mood"]
    assert read["probabilities"] == pytest.approx(answer["probabilities"], rel=1e-4)


def test_gradient_steps_guards_and_watching(
    moods: Path, runs: Path, data: Path, tmp_path: Path, typed: Callable[..., Any]
) -> None:
    out, kind = tmp_path / "run", f"kind={data / 'kind'}"
    source = f"mood={moods}?order={','.join(ORDER)}"
    trained = typed(
        *("train-mtl", "--task", source, "--task", kind, "--init", runs / "mtl", "--out", out, "--class-weights", "balanced"),
        *("--head", "mlp:8", "--balance", "normalized", *flags(**TRAINED)),
    )
    assert trained.code == 0, trained.err
    assert "quadratic kappa" in trained.err
    watched = typed(
        *("train-mtl", "--task", kind, "--watch", "mood", "--guard", "lwf", "--guard", "ewc", "--init", out),
        *("--out", tmp_path / "next", *flags(**{**TRAINED, "epochs": 1})),
    )
    assert watched.code == 0, watched.err
    changes = json.loads((tmp_path / "next" / "run.json").read_text())["metrics"]["forgetting"]["changes"]
    assert "quadratic_kappa" in [change["metric"] for change in changes]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("order=low,mid,high", "train.csv:4: column 'label' holds 'great', which is not in order=low,mid,high"),
        ("kind=ordinal", "train.csv:2: column 'label' holds 'low', which is not a number"),
    ],
)
def test_a_label_outside_the_order_has_its_place(moods: Path, typed: Callable[..., Any], keys: str, message: str) -> None:
    file = moods / "train.csv"
    lines = file.read_text().splitlines()
    lines[3] = lines[3].replace("low", "great")
    file.write_text("\n".join(lines))
    answer = typed("check-data", "--task", f"mood={moods}?{keys}")
    assert (answer.code, message in answer.err) == (3, True), answer.err
