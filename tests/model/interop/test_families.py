"""Keys missing in a config.json have the defaults of the family's configuration class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peers import PEERS, peer_vectors, transformers, write_peer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from mtlkit.errors import IntegrityError
from mtlkit.inference.load_model import load
from mtlkit.model.fallbacks import ACTIVATIONS
from mtlkit.model.interop.families.base import ACTIVATION_NAMES, FAMILIES
from mtlkit.model.interop.families.nomic_bert import OLDER
from mtlkit.model.interop.reading import describe_foreign
from mtlkit.model.interop.settings.checks import check_keys, keys_read

CLASSES = {
    **{kind: f"{name}Config" for kind, (name, _, _) in PEERS.items()},
    "esm": "EsmConfig",
    "gpt2": "GPT2Config",
}
MODULES = {"": "Transformer", "1_Pooling": "Pooling"}
TEXTS = ["The cat sleeps near the river.", "A saw", ""]


@pytest.mark.parametrize("kind", CLASSES)  # transformers has no class for "new"
def test_every_key_that_is_read_has_the_default_of_its_class(kind: str) -> None:
    family, made = FAMILIES[kind], getattr(transformers, CLASSES[kind])()
    read = {*family.keys.values(), *family.demands, "pad_token_id", *(["classifier_activation"] if "modern" in kind else [])}
    assert read == set(family.defaults)
    for key in read - {"position_embedding_type"}:  # which transformers 5 does not know any more, but for ESM
        assert getattr(made, key) == family.defaults[key], key
    assert getattr(made, "position_embedding_type", "absolute") == "absolute"
    assert {ours: theirs for theirs, ours in made.attribute_map.items()} == family.aliases


@pytest.mark.parametrize("kind", [name for name, family in FAMILIES.items() if family.aliases])
def test_the_other_name_of_a_key_counts_as_in_its_class(kind: str) -> None:
    for key, alias in FAMILIES[kind].aliases.items():
        for config in ({key: 24, alias: 48}, {alias: 48, key: 24}, {alias: 48}, {key: 24}):
            theirs = getattr(transformers, CLASSES[kind]).from_dict(dict(config))
            assert FAMILIES[kind].setting(config, key) == getattr(theirs, key)


@pytest.mark.parametrize("name", ACTIVATION_NAMES)
def test_activations_compute_the_same(name: str) -> None:
    numbers = torch.linspace(-6, 6, 101)
    theirs = transformers.activations.ACT2FN[name](numbers)
    assert torch.allclose(ACTIVATIONS[ACTIVATION_NAMES[name]](numbers), theirs, atol=1e-6)  # type: ignore[index]


def without(path: Path, *keys: str, **values: Any) -> None:
    config = {key: value for key, value in json.loads(path.read_text()).items() if key not in keys}
    path.write_text(json.dumps({**config, **values}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", PEERS)
def test_a_config_without_its_usual_keys_gives_the_same_vectors(kind: str, tmp_path: Path) -> None:
    peer = write_peer(kind, tmp_path, TEXTS * 10)
    small = FAMILIES[kind].defaults["pad_token_id"] < len(json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"])
    usual = ("layer_norm_eps", "norm_eps", "rms_norm_eps", "hidden_act", "hidden_activation", "activation", "is_decoder")
    without(tmp_path / "config.json", *usual, *(["pad_token_id"] if small else []))
    theirs = getattr(transformers, f"{PEERS[kind][0]}Model").from_pretrained(tmp_path).eval()
    wanted = peer_vectors(theirs, Tokenizer.from_file(str(tmp_path / "tokenizer.json")), TEXTS)
    assert torch.allclose(torch.from_numpy(load(tmp_path).embed(TEXTS)), wanted, atol=1e-5)
    assert theirs.config.pad_token_id == peer.config.pad_token_id


@pytest.mark.parametrize("kind", CLASSES)
def test_no_key_of_a_class_is_unknown(kind: str) -> None:
    values = json.loads(getattr(transformers, CLASSES[kind])().to_json_string(use_diff=False))
    assert check_keys(Path("config.json"), values, keys_read()["config.json"]) == []


@pytest.mark.parametrize("value", [None, -1, "1", True, 2**40])
def test_positions_need_a_token_that_they_begin_after(value: Any, tmp_path: Path) -> None:
    write_peer("roberta", tmp_path, TEXTS * 10)
    without(tmp_path / "config.json", pad_token_id=value)
    with pytest.raises(IntegrityError, match=r"pad_token_id .* is not a token"):
        describe_foreign(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"add_cross_attention": True}, "bert with add_cross_attention True is not supported"),
        ({"is_decoder": True}, "bert with is_decoder True is not supported"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantization_config .* is not supported"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads .* is not supported"),
        ({"hidden_size": 10**400}, "config.json"),
        ({"num_hidden_layers": 10**9}, "config.json"),
        ({"vocab_size": 2**31 - 1, "hidden_size": 2**31 - 4}, "config.json"),
        ({"max_position_embeddings": 1e999}, "config.json"),
    ],
)
def test_a_key_that_changes_what_is_computed_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_peer("bert", tmp_path, TEXTS * 10)
    without(tmp_path / "config.json", **change)
    with pytest.raises(IntegrityError, match=message):
        load(tmp_path)


@pytest.mark.parametrize("change", [{"pad_token_id": 0}, {"relative_attention_num_buckets": 64}])
def test_what_mpnet_computes_whatever_its_config_says_is_refused(change: dict[str, int], tmp_path: Path) -> None:
    write_peer("mpnet", tmp_path, TEXTS * 10)
    without(tmp_path / "config.json", **change)
    with pytest.raises(IntegrityError, match=rf"mpnet with {next(iter(change))} .* is not supported, only with"):
        describe_foreign(tmp_path)


def test_deeply_nested_json_is_refused(tmp_path: Path) -> None:
    write_peer("bert", tmp_path, TEXTS * 10)
    (tmp_path / "config.json").write_text('{"a": ' * 100_000)
    with pytest.raises(IntegrityError, match=r"config\.json: damaged"):
        load(tmp_path)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if FAMILIES[kind].option_keys])
def test_options_of_blocks_have_the_defaults_of_the_class(kind: str) -> None:
    written = getattr(transformers, CLASSES[kind])().to_dict()
    assert FAMILIES[kind].read_options({}) == FAMILIES[kind].read_options(written)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (
            "modernbert",
            {"rope_scaling": {"rope_type": "yarn", "factor": 4}},
            "rope_type 'yarn' is not supported, only with default or linear",
        ),
        (
            "modernbert",
            {"layer_types": ["chunked_attention"] * 2},
            "layer_types 'chunked_attention' is not supported.* full_attention",
        ),
        ("modernbert", {"sliding_window": 4}, "sliding_window 4 is not supported, only with None or local_attention"),
        ("modernbert", {"norm_bias": "no"}, "'norm_bias': expected true or false"),
        ("eurobert", {"num_key_value_heads": 3}, "attention heads, 4, is not a multiple of .* keys and values, 3"),
        ("eurobert", {"head_dim": 16}, "head_dim 16 is not supported, only with hidden_size / num_attention_heads"),
        ("modernbert", {"num_hidden_layers": 1e999}, "incomplete or damaged"),
        ("gte", {"model_type": "new", "rope_scaling": {"type": "ntk"}, "num_attention_heads": 0}, "incomplete or damaged"),
        ("eurobert", {"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor 0.5 is not supported"),
        ("nomic_bert", {"prenorm": True}, "prenorm True is not supported"),
        ("nomic_bert", {"rotary_scaling_factor": 2.0}, "rotary_scaling_factor 2.0 is not supported"),
        ("gte", {"rope_parameters": [1]}, "rope_parameters is not an object"),
        ("gte", {"model_type": "new", "rope_scaling": {"type": "dynamic"}}, "rope_scaling .*'dynamic'.* is not supported"),
        ("gte", {"model_type": "new", "logn_attention_scale": True}, "logn_attention_scale True is not supported"),
    ],
)
def test_options_of_blocks_that_are_not_supported_are_refused(
    kind: str, change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write_peer(kind, tmp_path, TEXTS * 10)
    without(tmp_path / "config.json", **change)
    with pytest.raises(IntegrityError, match=rf"config\.json.*{message}"):
        load(tmp_path)


def test_keys_of_older_classes_are_read(tmp_path: Path) -> None:
    """Of nomic-ai's models, as in their config.json, with the same weights."""
    peer = write_peer("nomic_bert", tmp_path, TEXTS * 10)
    wanted = load(tmp_path).embed(TEXTS)
    path, own = tmp_path / "config.json", peer.config
    keys = {key: getattr(own, key) for key in OLDER if key != "hidden_act"}
    older = {OLDER[key]: value for key, value in keys.items()} | {"activation_function": "swiglu", "rotary_emb_fraction": 1.0}
    without(path, *OLDER, "rope_parameters", "head_dim", rotary_emb_base=1000, prenorm=False, qkv_proj_bias=False, **older)
    assert np.array_equal(load(tmp_path).embed(TEXTS), wanted)


@pytest.mark.filterwarnings("ignore")
def test_positions_of_alibabas_class_are_scaled_as_published(tmp_path: Path) -> None:
    """NTK scaling with a fixed factor (Su, kexue.fm/archives/9706), which transformers has not, and no token types."""
    peer = write_peer("gte", tmp_path, TEXTS * 10)
    weights = load_file(tmp_path / "model.safetensors")
    types = weights.pop("embeddings.token_type_embeddings.weight")
    save_file({f"new.{name}": weight for name, weight in weights.items()}, tmp_path / "model.safetensors")
    scaling = {"type": "ntk", "factor": 3.0}
    without(
        tmp_path / "config.json", "rope_parameters", model_type="new", rope_theta=50.0, rope_scaling=scaling, type_vocab_size=0
    )
    with torch.no_grad():
        peer.embeddings.token_type_embeddings.weight.zero_()
        exponents = torch.arange(0, 8, 2) / 8
        peer.rotary_emb.inv_freq.copy_((50.0 * 3.0) ** -exponents / 3.0 ** (2 / 8))
    wanted = peer_vectors(peer, Tokenizer.from_file(str(tmp_path / "tokenizer.json")), TEXTS)
    assert types.shape == (2, 32)
    loaded = load(tmp_path)
    assert torch.allclose(torch.from_numpy(loaded.embed(TEXTS)), wanted, atol=1e-5)
    assert loaded.checkpoint.architecture.family == "gte"


def test_files_of_sentence_transformers_may_set_a_length_beyond_the_positions(tmp_path: Path) -> None:
    """Rotary positions have no weights, and sentence-transformers takes the length of its own file."""
    write_peer("nomic_bert", tmp_path, TEXTS * 10)
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in MODULES.items()]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text("{}")
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 100}))
    described = describe_foreign(tmp_path)
    assert (described.encoding.max_length, described.architecture.max_length) == (100, 100)
    (tmp_path / "modules.json").unlink()
    assert describe_foreign(tmp_path).encoding.max_length == 64
