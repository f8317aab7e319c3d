"""LoRA adapters in peft's format: read onto their base, and refused where they say something that is not supported."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mtlkit.errors import IntegrityError, MtlkitError
from mtlkit.inference.loaded_model import load
from mtlkit.model.digest import digest_of

TEXTS = ["A cat sleeps near the river.", "", "The drill lies broken on the bench."]


@pytest.fixture
def adapter(peer: Path, tmp_path: Path) -> Path:
    """An adapter of a model, by hand: of a query and of the first layer of an MLP."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    targets = ["encoder.layer.0.attention.self.query", "encoder.layer.1.intermediate.dense"]
    config = {"peft_type": "LORA", "base_model_name_or_path": str(peer), "r": 2, "lora_alpha": 3, "target_modules": targets}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    stored = load_file(peer / "model.safetensors")
    tensors = {}
    for module in targets:
        rows, columns = next(weight for name, weight in stored.items() if name.endswith(f"{module}.weight")).shape
        tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(2, columns)
        tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(rows, 2)
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


@pytest.mark.filterwarnings("ignore")
def test_an_adapter_on_its_base_gives_the_vectors_of_peft(adapter: Path, peer: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModel

    theirs = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(peer), str(adapter)).merge_and_unload()
    merged = Path(shutil.copytree(peer, tmp_path / "merged"))
    save_file({name: weight.contiguous() for name, weight in theirs.state_dict().items()}, merged / "model.safetensors")
    vectors = load(adapter).embed(TEXTS)
    np.testing.assert_allclose(vectors, load(merged).embed(TEXTS), atol=1e-5)
    assert not np.allclose(vectors, load(peer).embed(TEXTS), atol=1e-3)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"peft_type": "IA3"}, "type 'IA3'"),
        ({"use_dora": True}, "use_dora True"),
        ({"modules_to_save": ["pooler"]}, "modules_to_save"),
        ({"bias": "all"}, "bias 'all'"),
        ({"lora_alpha": None}, "lora_alpha None"),
        ({"base_model_name_or_path": None}, "base_model_name_or_path is missing"),
        ({"base_model_name_or_path": "./nowhere"}, "nowhere"),
    ],
)
def test_settings_that_are_not_supported_are_named(adapter: Path, setting: dict[str, Any], words: str) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **setting}))
    with pytest.raises(MtlkitError, match=words):
        load(adapter)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("base_model.model.encoder.layer.7.attention.self.query", "no linear layers"),
        ("base_model.model.pooler.dense", "no linear layers"),
        ("base_model.model.encoder.layer.0.attention.self.query.lora_magnitude_vector", "not of LoRA"),
    ],
)
def test_tensors_without_a_place_are_named(adapter: Path, module: str, words: str) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors, before = load_file(path), digest_of(adapter)
    names = (f"{module}.weight",) if "magnitude" in module else (f"{module}.lora_A.weight", f"{module}.lora_B.weight")
    save_file({**tensors, **{name: torch.ones(2, 2) for name in names}}, path)
    with pytest.raises(IntegrityError, match=words):
        load(adapter)
    assert digest_of(adapter) != before
