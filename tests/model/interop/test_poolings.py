"""Pooling and Dense modules: the vectors that sentence-transformers gives, alone and in batches, before and after an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from wrapped import Wrap

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import IntegrityError
from mtlkit.inference.load_model import load
from mtlkit.model.digest import digest_of
from mtlkit.model.interop.auto.models import read_architecture
from mtlkit.model.interop.modules import SentenceTransformerModules
from mtlkit.recipes.export import export

sentence_transformers: Any = pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries

TEXTS = ["guitar", "", "A man is playing a guitar.", "x" * 5, "the striker scored twice before the interval " * 6]
PROMPTS = {"query": "query: "}
TANH, NONE, GELU = torch.nn.Tanh(), torch.nn.Identity(), torch.nn.GELU()
CASES: list[dict[str, Any]] = [
    {"pooling": "max"},
    {"pooling": "lasttoken"},
    {"pooling": "weightedmean"},
    {"pooling": "mean_sqrt_len_tokens"},
    {"pooling": ("cls", "max", "mean"), "normalize": True},
    {"pooling": ("lasttoken", "mean_sqrt_len_tokens", "weightedmean", "cls")},
    {"layers": (1.0, 0.0, 3.0), "normalize": True},
    {"layers": (0.25, 0.0, 0.5), "pooling": ("max", "cls")},
    {"layers": (0.0, 2.0)},
    {"dense": [(12, TANH, True)]},
    {"dense": [(12, TANH, True)], "layer_norm": True, "normalize": True},
    {"pooling": ("max", "mean"), "dense": [(48, NONE, False), (7, GELU, True)], "normalize": True, "dropout": True},
]


def name_of(case: dict[str, Any]) -> str:
    pooling = case.get("pooling", "mean")
    return (
        "+".join([pooling] if isinstance(pooling, str) else pooling)
        + "+layers" * ("layers" in case)
        + "+dense" * len(case.get("dense", []))
        + "+norm" * ("layer_norm" in case)
    )


def library(folder: Path) -> Any:
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_vectors_are_those_of_the_library(case: dict[str, Any], wrap: Wrap, tmp_path: Path) -> None:
    """With a prompt, which pooling excludes, and without; then those of the export, too."""
    torch.manual_seed(0)
    folder = wrap(prompts=PROMPTS, default_prompt_name="query", include_prompt=False, **case)
    export(ExportOptions(model=str(folder), out=tmp_path / "out"))
    theirs, ours, exported = library(folder), load(folder), load(tmp_path / "out")
    again = library(tmp_path / "out")
    for mine, asked in (({}, {}), ({"prompt": ""}, {"prompt": ""})):
        wanted = theirs.encode(TEXTS, show_progress_bar=False, **asked)
        assert wanted.shape[1] == ours.dim == ours.full_dim
        np.testing.assert_allclose(ours.embed(TEXTS, **mine), wanted, atol=1e-5)  # type: ignore[arg-type]
        alone = np.concatenate([ours.embed([text], **mine) for text in TEXTS])  # type: ignore[arg-type]
        np.testing.assert_allclose(alone, wanted, atol=1e-5)
        np.testing.assert_allclose(exported.embed(TEXTS, **mine), wanted, atol=1e-5)  # type: ignore[arg-type]
        np.testing.assert_allclose(again.encode(TEXTS, show_progress_bar=False, **asked), wanted, atol=1e-5)


@pytest.fixture
def folder(wrap: Wrap) -> Path:
    return wrap(dense=[(12, TANH, True)])


def change(folder: Path, **values: Any) -> None:
    path = folder / "2_Dense/config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"use_residual": True}, "use_residual True is not supported"),
        ({"module_input_name": "token_embeddings"}, "module_input_name 'token_embeddings' is not supported"),
        ({"module_output_name": "scores"}, "module_output_name 'scores' is not supported"),
        ({"activation_function": "torch.nn.modules.activation.ELU"}, "activation_function .*ELU' is not supported"),
        ({"activation_function": "mine.Tanh"}, "activation_function 'mine.Tanh' is not supported"),
        ({"in_features": 16}, "in_features 16, but the vectors have 32 numbers"),
        ({"out_features": 0}, "a dense layer of width 0 is out of range"),
        ({"out_features": "12"}, "damaged"),
        ({"bias": None}, "damaged"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(values: dict[str, Any], message: str, folder: Path) -> None:
    change(folder, **values)
    with pytest.raises(IntegrityError, match=rf"2_Dense/config\.json: .*{message}"):
        load(folder)


def test_missing_keys_have_the_defaults_of_the_library(folder: Path) -> None:
    path = folder / "2_Dense/config.json"
    path.write_text(json.dumps({"in_features": 32, "out_features": 12, "unheard_of": 1}))
    np.testing.assert_allclose(load(folder).embed(TEXTS), library(folder).encode(TEXTS, show_progress_bar=False), atol=1e-5)
    assert any("2_Dense/config.json (unheard_of)" in note for note in load(folder).notes)


def test_weights_are_part_of_the_digest_and_checked(folder: Path) -> None:
    path = folder / "2_Dense/model.safetensors"
    before, weights = digest_of(folder), load_file(path)
    save_file({**weights, "linear.bias": weights["linear.bias"] + 1}, path)
    assert digest_of(folder) != before
    for damaged in (
        {"linear.weight": weights["linear.weight"]},
        {**weights, "linear.bias": torch.zeros(13)},
        {**weights, "linear.bias": torch.full((12,), torch.nan)},
    ):
        save_file(damaged, path)
        with pytest.raises(IntegrityError, match=r"2_Dense/model\.safetensors: .*linear\.bias"):
            load(folder)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"2_Dense/model\.safetensors: "):
        load(folder)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((0.5, 0.1, 0.4), r"weights of the embeddings and of the last layer, 0 elsewhere"),
        ((0.5, 0.5), r"supported: weights of the embeddings and of the last layer"),
        ((1.0, 0.0, -0.5), r"layer_weights .* are not supported"),
        ((1.0, 0.0, 0.0), r"layer_weights .* are not supported"),
        ((0.0, 0.0, float("nan")), r"layer_weights .* are not supported"),
    ],
)
def test_other_means_of_layers_are_refused(layers: tuple[float, ...], message: str, wrap: Wrap) -> None:
    with pytest.raises(IntegrityError, match=message):
        load(wrap(layers=layers))


def test_a_mean_of_layers_needs_its_weights(wrap: Wrap) -> None:
    folder = wrap(layers=(0.5, 0.0, 0.5))
    weights, config = folder / "1_WeightedLayerPooling/model.safetensors", folder / "1_WeightedLayerPooling/config.json"
    save_file({"layer_weights": torch.ones(2)}, weights)
    with pytest.raises(IntegrityError, match=r"layer_weights has 2 weights; from layer 0 of 2, 3 fit"):
        load(folder)
    save_file({"weights": torch.ones(3)}, weights)
    with pytest.raises(IntegrityError, match=r"not the weights of this module"):
        load(folder)
    config.write_text(json.dumps({"layer_start": 9, "num_hidden_layers": 2}))
    with pytest.raises(IntegrityError, match=r"layer_start 9 is out of range; the model has 2 layers"):
        load(folder)


def test_without_hidden_states_the_mean_of_layers_does_nothing(wrap: Wrap) -> None:
    folder = wrap(layers=(0.5, 0.0, 0.5))
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "output_hidden_states": False}))
    np.testing.assert_allclose(load(folder).embed(TEXTS), library(folder).encode(TEXTS, show_progress_bar=False), atol=1e-5)


def test_the_weights_of_a_mean_of_layers_are_part_of_the_digest(wrap: Wrap) -> None:
    folder = wrap(layers=(0.5, 0.0, 0.5))
    before = digest_of(folder)
    save_file({"layer_weights": torch.tensor([0.2, 0.0, 0.8])}, folder / "1_WeightedLayerPooling/model.safetensors")
    assert digest_of(folder) != before


def test_a_mean_of_layers_is_refused_for_models_that_run_through_transformers(tmp_path: Path) -> None:
    modules = SentenceTransformerModules(tmp_path, layer_pooling=tmp_path / "1_WeightedLayerPooling")
    with pytest.raises(
        IntegrityError, match="1_WeightedLayerPooling: a mean of layers is supported for mtlkit's own families only"
    ):
        read_architecture(modules)
