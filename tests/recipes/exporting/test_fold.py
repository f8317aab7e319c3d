"""Temperatures and thresholds of heads in exports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.checkpoint import load_model, save_model
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.model.interop.head_files import apply_heads, read_tasks, write_heads
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.exporting.fold import fold_temperatures
from mtlkit.recipes.exporting.verify import largest_difference, our_outputs

THRESHOLDS = Calibration("thresholds", thresholds=(0.1, 0.5, 0.9))


@pytest.fixture
def weights(tiny_model: MultiTaskModel, text_encoder: TextEncoder, tmp_path: Path) -> LoadedWeights:
    """The tiny model with a temperature for `topic` and thresholds for `tags`."""
    tiny_model.head("topic").spec = replace(tiny_model.tasks["topic"], calibration=Calibration("temperature", 0.25, rows=9))
    tiny_model.head("tags").spec = replace(tiny_model.tasks["tags"], calibration=THRESHOLDS)
    folder = tmp_path / "run"
    folder.mkdir()
    save_model(tiny_model, folder, "mtl", text_encoder.encoding)
    return LoadedWeights(*load_model(folder), text_encoder, None)


def test_folded_heads_give_calibrated_outputs(weights: LoadedWeights) -> None:
    folded = fold_temperatures(weights)
    texts = ["The cat sleeps.", "", "A saw"]
    assert largest_difference(our_outputs(weights, texts), our_outputs(folded, texts)) <= 1e-6
    vectors = torch.randn(4, weights.model.vector_dim)
    with torch.no_grad():
        raw, calibrated = (model.head("topic")(vectors) for model in (weights.model, folded.model))
    torch.testing.assert_close(calibrated, raw / 0.25)
    spec = folded.checkpoint.tasks[0]
    assert (spec.temperature, spec.calibration and spec.calibration.rows) == (1.0, 9)
    assert weights.model.tasks["topic"].temperature == 0.25
    assert folded.model.tasks["tags"].calibration == THRESHOLDS
    assert folded.model.backbone is weights.model.backbone


def test_heads_beside_vectors_are_calibrated(weights: LoadedWeights, tmp_path: Path) -> None:
    write_heads(tmp_path, fold_temperatures(weights).model)
    vectors = torch.randn(4, weights.model.vector_dim)
    with torch.no_grad():
        torch.testing.assert_close(apply_heads(str(tmp_path), vectors)["topic"], weights.model.head("topic")(vectors) / 0.25)
    assert {task.name: task.thresholds for task in read_tasks(tmp_path)}["tags"] == THRESHOLDS.thresholds
    tags = json.loads((tmp_path / "heads.json").read_text())["tasks"][1]
    assert tags["calibration"]["thresholds"] == list(THRESHOLDS.thresholds)


def test_a_model_without_calibration_is_not_copied(tiny_model: MultiTaskModel, weights: LoadedWeights) -> None:
    plain = fold_temperatures(weights)
    assert fold_temperatures(plain) is plain


def test_heads_of_a_folder_read_either_single_texts_or_pairs(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    tiny_model.add_task(TaskSpec("nli", "classification", ("no", "yes"), pair="vectors"))
    write_heads(tmp_path, tiny_model.eval())
    assert read_tasks(tmp_path)[-1].pair == "vectors"
    vectors = torch.randn(4, tiny_model.vector_dim)
    assert list(apply_heads(str(tmp_path), vectors)) == ["topic", "tags", "stars"]
    outputs = apply_heads(str(tmp_path), vectors[:2], vectors[2:])
    with torch.no_grad():
        expected = tiny_model.head("nli")(head_inputs(vectors, np.array([[0, 1], [2, 3]])))
    assert list(outputs) == ["nli"]
    torch.testing.assert_close(outputs["nli"], expected)
