"""LoRA adapters in peft's format: read onto their base, and refused where they say something that is not supported."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peers import PEERS, peer_vectors, write_peer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.errors import IntegrityError, MtlkitError
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import LoadedWeights, load_weights
from mtlkit.model.digest import digest_of
from mtlkit.model.encoder import own_encoder
from mtlkit.model.interop.families.base import FAMILIES, Family
from mtlkit.model.interop.peft import REFUSED, write_adapter
from mtlkit.model.layers.low_rank import Adapter
from mtlkit.model.multitask import MultiTaskModel

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


def change(adapter: Path, setting: dict[str, Any]) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **setting}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", [True, False, "gaussian", "orthogonal", "eva", "mica"])
def test_an_adapter_on_its_base_gives_the_vectors_of_peft(start: bool | str, adapter: Path, peer: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModel

    change(adapter, {"init_lora_weights": start})
    theirs = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(peer), str(adapter)).merge_and_unload()
    merged = Path(shutil.copytree(peer, tmp_path / "merged"))
    save_file({name: weight.contiguous() for name, weight in theirs.state_dict().items()}, merged / "model.safetensors")
    vectors = load(adapter).embed(TEXTS)
    np.testing.assert_allclose(vectors, load(merged).embed(TEXTS), atol=1e-5)
    assert not np.allclose(vectors, load(peer).embed(TEXTS), atol=1e-3)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by_root", [False, True])
def test_patterns_of_alphas_and_ranks_are_followed(by_root: bool, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModel

    write_peer("bert", tmp_path / "base", TEXTS * 10)
    base = AutoModel.from_pretrained(tmp_path / "base").eval()
    patterns = {"rank_pattern": {"query": 3}, "alpha_pattern": {r"0\.attention\.self\.(query|key)": 7, "dense": 1.5, "query": 9}}
    config = peft.LoraConfig(
        r=2, lora_alpha=3, init_lora_weights=False, use_rslora=by_root, target_modules=linear_modules(base), **patterns
    )
    theirs = peft.get_peft_model(base, config).eval()
    theirs.save_pretrained(str(tmp_path / "adapter"))
    wanted = peer_vectors(theirs, Tokenizer.from_file(str(tmp_path / "base" / "tokenizer.json")), TEXTS)
    np.testing.assert_allclose(load(tmp_path / "adapter").embed(TEXTS), wanted.numpy(), atol=1e-5)


def linear_modules(model: Any) -> list[str]:
    """The linear layers in the blocks of a model."""
    return [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and re.search(r"\.\d+\.", name)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", PEERS)
def test_adapters_that_peft_saves_are_read(kind: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModel

    write_peer(kind, tmp_path / "base", TEXTS * 10)
    base = AutoModel.from_pretrained(tmp_path / "base").eval()
    config = peft.LoraConfig(r=2, lora_alpha=3, init_lora_weights=False, target_modules=linear_modules(base))
    theirs = peft.get_peft_model(base, config).eval()
    theirs.save_pretrained(str(tmp_path / "adapter"))
    wanted = peer_vectors(theirs, Tokenizer.from_file(str(tmp_path / "base" / "tokenizer.json")), TEXTS)
    np.testing.assert_allclose(load(tmp_path / "adapter").embed(TEXTS), wanted.numpy(), atol=1e-5)
    assert not np.allclose(load(tmp_path / "base").embed(TEXTS), wanted.numpy(), atol=1e-2)


def write_export(kind: str, folder: Path) -> LoadedWeights:
    """A base with an adapter beside it, as an export has them, and the same model with the adapter in its weights."""
    write_peer(kind, folder / "base", TEXTS * 10)
    weights = load_weights(folder / "base")
    encoder = own_encoder(weights.model.backbone)
    layers = weights.model.architecture.layers
    torch.manual_seed(1)
    adapter = Adapter(AdapterSpec("lora", 2, 3.0, 0, layers - 1), encoder)
    for term in adapter.terms().values():
        torch.nn.init.normal_(term.b, std=0.3)
    write_adapter(folder, adapter, encoder)
    return replace(weights, model=MultiTaskModel(adapter.merged(encoder)).eval())


def merged_vectors(weights: LoadedWeights) -> Tensor:
    encoded = weights.encoder.encode(TEXTS)
    with torch.no_grad():
        return weights.model.encode(Batch.flat(encoded.ids, np.diff(encoded.offsets).tolist(), np.arange(len(TEXTS))))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", PEERS)
def test_peft_loads_what_is_written(kind: str, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    from transformers import AutoModel

    wanted = merged_vectors(write_export(kind, tmp_path))
    theirs = peft.PeftModel.from_pretrained(AutoModel.from_pretrained(tmp_path / "base"), str(tmp_path)).eval()
    adapted = {name.removeprefix("base_model.model.") for name, layer in theirs.named_modules() if hasattr(layer, "lora_A")}
    assert adapted == set(json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"])
    vectors = peer_vectors(theirs, Tokenizer.from_file(str(tmp_path / "base" / "tokenizer.json")), TEXTS)
    np.testing.assert_allclose(vectors.numpy(), wanted.numpy(), atol=1e-5)
    np.testing.assert_allclose(load(tmp_path).embed(TEXTS), wanted.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", [name for name in PEERS if FAMILIES[name].modules])
def test_adapters_of_models_with_modules_named_as_in_files_are_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Family, "in_memory", property(lambda family: family))
        wanted = merged_vectors(write_export(kind, tmp_path))
    assert any("qkv" in name.lower() for name in load_file(tmp_path / "adapter_model.safetensors"))
    np.testing.assert_allclose(load(tmp_path).embed(TEXTS), wanted.numpy(), atol=1e-5)


def test_variants_of_lora_are_known() -> None:
    config = pytest.importorskip("peft").LoraConfig
    variants = {field.name for field in fields(config) if field.metadata.get("is_lora_variant")}
    assert variants - {"velora_config"} <= set(REFUSED)  # which changes gradients alone


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"peft_type": "IA3"}, "type 'IA3'"),
        ({"use_dora": True}, "use_dora True"),
        ({"modules_to_save": ["pooler"]}, "modules_to_save"),
        ({"alora_invocation_tokens": [5, 6]}, "alora_invocation_tokens .* cannot be merged"),
        ({"target_parameters": ["encoder.layer.0.attention.self.query.weight"]}, "target_parameters"),
        ({"layer_replication": [[0, 2], [1, 2]]}, "layer_replication"),
        ({"trainable_token_indices": [1]}, "trainable_token_indices"),
        ({"lora_bias": True}, "lora_bias True"),
        ({"use_qalora": True}, "use_qalora True"),
        ({"use_bdlora": {"nblocks": 2}}, "use_bdlora"),
        ({"arrow_config": {"top_k": 3}}, "arrow_config"),
        ({"kasa_config": {"beta": 0.1}}, "kasa_config"),
        ({"monteclora_config": {"num_samples": 2}}, "monteclora_config"),
        ({"megatron_config": {"tensor_model_parallel_size": 1}}, "megatron_config"),
        *(
            ({"init_lora_weights": start}, f"init_lora_weights '{start}'")
            for start in ("olora", "pissa", "pissa_niter_4", "corda", "loftq", "lora_ga")
        ),
        ({"bias": "all"}, "bias 'all'"),
        ({"lora_alpha": None}, "lora_alpha None"),
        ({"alpha_pattern": {"query": "4"}}, "alpha_pattern .* has no number for each pattern"),
        ({"alpha_pattern": {"(query": 4}}, r"alpha_pattern '\(query' is not a regular expression"),
        ({"base_model_name_or_path": None}, "base_model_name_or_path is missing"),
        ({"base_model_name_or_path": "./nowhere"}, "nowhere"),
    ],
)
def test_settings_that_are_not_supported_are_named(adapter: Path, setting: dict[str, Any], words: str) -> None:
    change(adapter, setting)
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
