"""Tensors that a model does not use: reported, or refused if they are an unmerged adapter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mtlkit.errors import IntegrityError
from mtlkit.inference.load_weights import load_weights


@pytest.fixture
def folder(peer: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(peer, tmp_path / "model"))


def add(folder: Path, *names: str, prefix: str = "") -> None:
    """Adds tensors to the weights; `prefix` is put before the names that are there."""
    path = folder / "model.safetensors"
    weights = {prefix + name: weight for name, weight in load_file(path).items()}
    save_file({**weights, **{name: torch.ones(2) for name in names}}, path)


def test_tensors_without_a_use_are_mentioned(folder: Path) -> None:
    add(folder, "classifier.weight", "classifier.bias", "encoder.layer.0.gate")
    note = load_weights(folder).note
    assert "not in BertModel, ignored: classifier.bias, classifier.weight, encoder.layer.0.gate" in note
    assert "\n" not in note


def test_a_head_beside_a_bare_model_with_a_prefix_is_mentioned(folder: Path) -> None:
    add(folder, "classifier.weight", prefix="bert.")
    assert "ignored: classifier.weight" in load_weights(folder).note


def test_what_files_of_the_family_usually_hold_is_not_mentioned(folder: Path) -> None:
    add(folder, "embeddings.position_ids", prefix="")
    assert load_weights(folder).note == ""


@pytest.mark.parametrize(
    "name",
    [
        "encoder.layer.0.attention.self.query.lora_A.weight",
        "base_model.model.encoder.layer.0.attention.self.query.lora_B.default.weight",
        "encoder.layer.0.attention.self.query.base_layer.weight",
        "encoder.layer.0.output.adapters.news.adapter_down.0.weight",
    ],
)
def test_an_adapter_that_is_not_merged_is_refused(name: str, folder: Path) -> None:
    add(folder, name)
    with pytest.raises(IntegrityError, match=r"an adapter that is not merged .*merge_and_unload\(\)"):
        load_weights(folder)


@pytest.mark.parametrize(("kind", "named"), [(torch.float16, "F16"), (torch.bfloat16, "BF16")])
def test_narrow_weights_are_mentioned_where_the_configuration_does_not(kind: torch.dtype, named: str, folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({name: weight.to(kind) for name, weight in load_file(path).items()}, path)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"dtype": "float32",', ""))
    assert f"weights stored as {named} (computed in float32)" in load_weights(folder).note
