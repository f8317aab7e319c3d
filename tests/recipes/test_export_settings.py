"""Settings of a pretrained folder survive an export, and the export is checked against what the folder means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from wrapped import Wrap

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import IntegrityError
from mtlkit.inference.load_model import load
from mtlkit.model.interop.head_files import apply_heads
from mtlkit.recipes import export as recipe
from mtlkit.recipes.export import export
from mtlkit.recipes.train_mtl import train_mtl

sentence_transformers: Any = pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries

TEXTS = ["guitar", "", "The cat sleeps near the river.", "a hammer lies broken on the bench " * 9]
SETTINGS: dict[str, Any] = {
    "prompts": {"query": "query: ", "passage": "passage: "},
    "default_prompt_name": "query",
    "similarity_fn_name": "dot",
    "truncate_dim": 9,
    "include_prompt": False,
}


def library(folder: Path) -> Any:
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)


@pytest.mark.parametrize(("kind", "pooling"), [("bert", "mean"), ("roberta", "cls")])
def test_all_settings_and_tokens_are_written_back(kind: str, pooling: str, wrap: Wrap, tmp_path: Path) -> None:
    folder = wrap(kind, pooling=pooling, dropout=True, normalize=True, **SETTINGS)
    done = export(ExportOptions(model=str(folder), out=tmp_path / "out"))
    assert done.dim == 9
    assert done.from_source is not None
    assert done.from_source <= 1e-5
    before, after = library(folder), library(tmp_path / "out")
    for name in ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim", "max_seq_length"):
        assert getattr(after, name) == getattr(before, name)
    assert after[1].include_prompt is False
    for token in ("unk_token", "mask_token", "pad_token"):
        assert getattr(after.tokenizer, token) == getattr(before.tokenizer, token) is not None
    for asked in ({}, {"prompt_name": "passage"}, {"prompt": ""}):
        np.testing.assert_allclose(after.encode(TEXTS, **asked), before.encode(TEXTS, **asked), atol=1e-5)


@pytest.mark.parametrize("format", [pytest.param("onnx", marks=pytest.mark.slow), "compact"])
def test_other_formats_obey_them_too(format: Any, wrap: Wrap, tmp_path: Path) -> None:
    folder = wrap(**SETTINGS)
    export(ExportOptions(model=str(folder), out=tmp_path / "out", format=format))
    exported, model = load(tmp_path / "out", backend="auto"), load(folder)
    tolerance = 1e-5 if format == "onnx" else 0.1 * np.abs(model.embed(TEXTS)).max()
    for asked in (None, "passage", "", "something else "):
        np.testing.assert_allclose(exported.embed(TEXTS, prompt=asked), model.embed(TEXTS, prompt=asked), atol=tolerance)
        np.testing.assert_allclose(exported.embed(TEXTS[:1], prompt=asked), exported.embed(TEXTS, prompt=asked)[:1], atol=1e-5)
    assert exported.checkpoint.vectors == model.checkpoint.vectors


def test_a_model_trained_from_the_folder_has_the_vectors_of_its_export(wrap: Wrap, data: Path, tmp_path: Path) -> None:
    """Folder, training with a frozen backbone, export: the library's vectors stay those of the folder, heads read whole ones."""
    folder = wrap(**SETTINGS)
    options = TrainMtlOptions(
        init=str(folder), task=[f"kind={data}"], freeze=["backbone"], epochs=1, out=tmp_path / "run", runs=tmp_path
    )
    train_mtl(options)
    run = load(tmp_path / "run")
    np.testing.assert_allclose(run.embed(TEXTS), library(folder).encode(TEXTS), atol=1e-5)
    export(ExportOptions(model=str(tmp_path / "run"), out=tmp_path / "out"))
    np.testing.assert_allclose(library(tmp_path / "out").encode(TEXTS), library(folder).encode(TEXTS), atol=1e-5)
    assert "truncate_dim=32" in (tmp_path / "out" / "README.md").read_text()
    whole = sentence_transformers.SentenceTransformer(str(tmp_path / "out"), device="cpu", truncate_dim=32)
    outputs = apply_heads(str(tmp_path / "out"), whole.encode(TEXTS, convert_to_tensor=True))["kind"]
    wanted = run.engine.outputs(run.encode(TEXTS), ["kind"])["kind"]
    calibration = run.specs["kind"].calibration
    assert calibration is not None
    np.testing.assert_allclose(outputs.numpy(), wanted / calibration.temperature, atol=1e-4)


def lay(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("file", "values"),
    [
        ("config.json", {"dtype": "float16"}),
        ("tokenizer_config.json", {"padding_side": "left"}),
        ("tokenizer_config.json", {"model_input_names": ["input_ids"]}),
    ],
)
def test_a_folder_whose_types_or_padding_are_not_followed_is_exported(
    file: str, values: dict[str, Any], wrap: Wrap, tmp_path: Path
) -> None:
    """It is named, and the export is what the folder gives in float32 for each text alone."""
    folder = wrap("bert")
    lay(folder / file, **values)
    done = export(ExportOptions(model=str(folder), out=tmp_path / "out"))
    assert f"{file} {next(iter(values))} " in done.note
    assert done.from_source is not None
    assert done.from_source <= 1e-5
    alone = sentence_transformers.SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"torch_dtype": torch.float32}
    ).encode(TEXTS, batch_size=1)
    np.testing.assert_allclose(library(tmp_path / "out").encode(TEXTS), alone, atol=1e-5)
    np.testing.assert_allclose(load(folder).embed(TEXTS), alone, atol=1e-5)


def test_an_export_of_a_folder_that_is_read_otherwise_is_refused(
    wrap: Wrap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is missed: its export agrees with our own vectors, and not with the folder."""
    folder = wrap(**SETTINGS)
    true = recipe.load_weights

    def blind(path: Path, **options: Any) -> Any:
        weights = true(path, **options)
        object.__setattr__(weights, "encoder", weights.encoder.with_prompt(""))
        return weights

    monkeypatch.setattr(recipe, "load_weights", blind)
    with pytest.raises(IntegrityError, match=r"mtlkit's reading of .* differs from sentence-transformers'"):
        export(ExportOptions(model=str(folder), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
