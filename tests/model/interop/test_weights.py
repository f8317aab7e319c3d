"""Weights that are not finite floating-point numbers are refused by name; an index beside a single weights file is ignored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtlkit.errors import IntegrityError
from mtlkit.model.checkpoint import load_model
from mtlkit.model.interop.reading import read_foreign

NAME = "encoder.layer.1.attention.output.dense.weight"


@pytest.fixture
def folder(peer: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(peer, tmp_path / "model"))


def change(path: Path, name: str, changed: Callable[[Tensor], Tensor], **more: Tensor) -> None:
    weights = load_file(path)
    save_file({**weights, name: changed(weights[name]).contiguous(), **more}, path)


def spoil(value: float) -> Callable[[Tensor], Tensor]:
    def changed(weight: Tensor) -> Tensor:
        weight.flatten()[-1] = value
        return weight

    return changed


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.uint8, torch.float8_e4m3fn, torch.float8_e5m2])
def test_other_types_of_numbers_are_refused_with_the_name(folder: Path, dtype: torch.dtype) -> None:
    change(folder / "model.safetensors", NAME, lambda weight: (weight * 100).to(dtype), **{f"{NAME}.SCB": torch.ones(32)})
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(IntegrityError, match=f"weight '{NAME}' is stored as {kind}; supported: float32, float16") as caught:
        read_foreign(folder)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_widths_of_floats_are_converted(folder: Path, dtype: torch.dtype) -> None:
    before = read_foreign(folder)[0].state_dict()
    change(folder / "model.safetensors", NAME, lambda weight: weight.to(dtype))
    after = read_foreign(folder)[0].state_dict()
    assert {weight.dtype for weight in after.values()} == {torch.float32}
    name = "backbone.blocks.1.attention.out.weight"
    assert torch.equal(after[name], before[name].to(dtype).float())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["embeddings.LayerNorm.bias", "embeddings.token_type_embeddings.weight", NAME])
def test_a_number_that_is_not_finite_is_refused_with_the_name(folder: Path, value: float, name: str) -> None:
    change(folder / "model.safetensors", name, spoil(value))
    with pytest.raises(IntegrityError, match=f"weight '{name}' has 1 number that is NaN or infinite"):
        read_foreign(folder)


def test_float64_beyond_float32_is_refused(folder: Path) -> None:
    change(folder / "model.safetensors", NAME, lambda weight: spoil(1e300)(weight.double()))
    with pytest.raises(IntegrityError, match=f"weight '{NAME}' has 1 number"):
        read_foreign(folder)


def test_large_numbers_that_are_finite_are_read(folder: Path) -> None:
    change(folder / "model.safetensors", NAME, lambda weight: torch.full_like(weight, 3e38))  # their sum is infinite
    assert read_foreign(folder)[0].state_dict()["backbone.blocks.1.attention.out.weight"].max() == torch.tensor(3e38)


def test_weights_that_nothing_is_computed_from_may_be_anything(folder: Path) -> None:
    """Old files of BERT hold the numbers of the positions, as int64."""
    change(
        folder / "model.safetensors", "pooler.dense.bias", spoil(float("nan")), **{"embeddings.position_ids": torch.arange(66)}
    )
    read_foreign(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["backbone.blocks.0.expand.bias", "heads.stars.layers.1.weight"])
def test_a_run_with_a_number_that_is_not_finite_is_refused(run: Path, value: float, name: str) -> None:
    change(run / "model.safetensors", name, spoil(value))
    with pytest.raises(IntegrityError, match=rf"model\.safetensors: weight '{name}' has 1 number that is NaN or infinite"):
        load_model(run)


def test_a_run_with_other_types_of_numbers_is_refused(run: Path) -> None:
    change(run / "model.safetensors", "backbone.tokens.weight", lambda weight: weight.to(torch.float8_e4m3fn))
    with pytest.raises(IntegrityError, match=r"weight 'backbone\.tokens\.weight' is stored as float8_e4m3fn"):
        load_model(run)


@pytest.mark.parametrize("index", ['{"weight_map": {"a": "gone.safetensors"}}', "{", '{"weight_map": {"a": "../x.safetensors"}}'])
def test_an_index_beside_whole_weights_is_not_followed(folder: Path, index: str) -> None:
    before = read_foreign(folder)[0].state_dict()
    (folder / "model.safetensors.index.json").write_text(index)
    after = read_foreign(folder)[0].state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


@pytest.mark.parametrize(
    ("shard", "message"),
    [
        ("gone.safetensors", r"gone\.safetensors: missing"),
        ("../outside.safetensors", "which is outside the folder"),
        ("1_Pooling", "1_Pooling: a folder, not a file"),
    ],
)
def test_shards_that_cannot_be_read_are_named(folder: Path, shard: str, message: str) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    names = dict.fromkeys(load_file(folder / "part.safetensors"), "part.safetensors") | {NAME: shard}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with pytest.raises(IntegrityError, match=message):
        read_foreign(folder)


def test_links_to_the_files_as_a_snapshot_of_the_hub_has_them(peer: Path, folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
        path.symlink_to(peer / path.name)
    ours, wanted = read_foreign(folder)[0].state_dict(), read_foreign(peer)[0].state_dict()
    assert all(np.array_equal(ours[name], weight) for name, weight in wanted.items())
