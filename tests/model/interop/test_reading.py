"""Hugging Face folders: each family gives the vectors of transformers; unsupported ones are refused by name."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peers import PEERS, peer_vectors, write_peer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from mtlkit.errors import IntegrityError
from mtlkit.inference.load_model import load
from mtlkit.model.interop.reading import read_foreign

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of other libraries are not ours to fix

Make = Callable[[str], tuple[Path, Any]]


def wanted(folder: Path, model: Any, texts: list[str]) -> Tensor:
    return peer_vectors(model, Tokenizer.from_file(str(folder / "tokenizer.json")), texts)


def edit(path: Path, **values: Any) -> None:
    """Lays values over a JSON file; None takes a key away."""
    merged = {**(json.loads(path.read_text()) if path.exists() else {}), **values}
    path.write_text(json.dumps({key: value for key, value in merged.items() if value is not None}))


def assert_same(folder: Path, texts: list[str], vectors: Tensor) -> None:
    np.testing.assert_allclose(load(folder).embed(texts), vectors.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", PEERS)
def test_vectors_are_those_of_transformers(kind: str, make_peer: Make, passages: list[str]) -> None:
    """Together in batches, alone, and though tokenizer.json has a truncation to 12 and a padding baked in."""
    folder, peer = make_peer(kind)
    vectors = wanted(folder, peer, passages)
    assert_same(folder, passages, vectors)
    model = load(folder)
    assert model.checkpoint.architecture.family == kind
    alone = np.concatenate([model.embed([text]) for text in passages])
    np.testing.assert_allclose(alone, vectors.numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta", "camembert", "mpnet"])
def test_a_padding_token_that_a_text_spells_is_not_counted_by_positions(kind: str, make_peer: Make, passages: list[str]) -> None:
    """At the beginning, inside, at the end, several, nothing else, and beyond the length; alone and in a batch."""
    folder, peer = make_peer(kind)
    long = " ".join(["word"] * 20 + ["<pad>"] * 3 + ["tail"] * 60)
    texts = ["a <pad> it", "<pad>", "<pad> begin", "the end <pad>", "<pad> a <pad><pad> b c <pad> d", "a it", long, passages[0]]
    vectors = wanted(folder, peer, texts)
    assert_same(folder, texts, vectors)
    model = load(folder)
    np.testing.assert_allclose(np.concatenate([model.embed([text]) for text in texts]), vectors.numpy(), atol=1e-5)
    literal = load(folder, literal_special_tokens=True).embed(texts)
    np.testing.assert_allclose(literal[5], vectors[5].numpy(), atol=1e-5)
    assert np.abs(literal[0] - vectors[0].numpy()).max() > 1e-2


def test_weights_in_shards(make_peer: Make, passages: list[str]) -> None:
    folder, peer = make_peer("bert")
    (folder / "model.safetensors").unlink()
    peer.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / "model.safetensors.index.json").is_file()
    assert len(list(folder.glob("*.safetensors"))) > 1
    assert_same(folder, passages, wanted(folder, peer, passages))


def rewrite(folder: Path, change: Callable[[str, Tensor], tuple[str, Tensor]]) -> None:
    weights = load_file(folder / "model.safetensors")
    changed = dict(change(name, weight) for name, weight in weights.items())
    save_file({name: weight.clone() for name, weight in changed.items()}, folder / "model.safetensors")


def test_the_names_of_old_files_and_of_whole_models(make_peer: Make, passages: list[str]) -> None:
    folder, peer = make_peer("bert")

    def old(name: str, weight: Tensor) -> tuple[str, Tensor]:
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        return f"bert.{name}", weight

    rewrite(folder, old)
    assert_same(folder, passages, wanted(folder, peer, passages))


def test_weights_in_half_precision_are_widened(make_peer: Make, passages: list[str]) -> None:
    folder, peer = make_peer("bert")
    rewrite(folder, lambda name, weight: (name, weight.half()))
    model, _ = read_foreign(folder)
    assert {weight.dtype for weight in model.state_dict().values()} == {torch.float32}
    assert_same(folder, passages, wanted(folder, peer.half().float(), passages))


def sentence_transformer(folder: Path, *modules: str, **pooling: Any) -> None:
    """The modules of sentence-transformers around a transformer."""
    paths = ["", *(f"{place}_{kind}" for place, kind in enumerate(modules, 1))]
    kinds = ["Transformer", *modules]
    listing = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in zip(paths, kinds, strict=True)]
    (folder / "modules.json").write_text(json.dumps(listing))
    for path in paths[1:]:
        (folder / path).mkdir()
        edit(folder / path / "config.json", **(pooling if "Pooling" in path else {}))
    edit(folder / "sentence_bert_config.json", max_seq_length=16)


@pytest.mark.parametrize(
    "pooling", [{"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}]
)
def test_the_modules_of_sentence_transformers_are_obeyed(pooling: dict[str, Any], make_peer: Make, passages: list[str]) -> None:
    folder, peer = make_peer("bert")
    sentence_transformer(folder, "Pooling", "Normalize", **pooling)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(16)
    with torch.no_grad():
        firsts = [peer(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0, 0] for text in passages]
    assert_same(folder, passages, torch.nn.functional.normalize(torch.stack(firsts), dim=1))


def test_a_module_that_we_lack_is_refused(make_peer: Make) -> None:
    folder, _ = make_peer("bert")
    sentence_transformer(folder, "Pooling", "LSTM", pooling_mode_mean_tokens=True)
    with pytest.raises(IntegrityError, match="module 'LSTM' is not supported; supported: Transformer, Pooling, Normalize, Dense"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "deberta-v2"}, "the weights have no .* in all.*, which DebertaV2Model needs"),
        ({"model_type": "berd"}, "architecture 'berd' is not in transformers [^;]*; mtlkit's own families are [^;]*$"),
        ({"model_type": None}, r'config\.json: model_type is missing.*; add "model_type": "bert"'),
        ({"model_type": None, "architectures": ["OtherModel"]}, "model_type is missing.*; supported: albert, bert"),
        ({"num_attention_heads": 5}, "hidden_size 32 is not a multiple of num_attention_heads 5"),
        ({"num_attention_heads": 0}, r"config\.json: incomplete or damaged \(heads 0 is out of range"),
        ({"hidden_size": "32"}, r"config\.json: incomplete or damaged"),
        ({"position_embedding_type": "relative_key"}, "bert with position_embedding_type 'relative_key' is not supported"),
        ({"is_causal": True}, "bert with is_causal True is not supported, only with False"),
        ({"is_decoder": True}, "bert with is_decoder True is not supported"),
        ({"hidden_act": "swish2"}, "activation 'swish2' is not supported; supported: gelu"),
        ({"hidden_act": ["gelu"]}, r"activation '\['gelu'\]' is not supported"),
        ({"hidden_size": None}, "weights do not fit config.json"),
        ({"intermediate_size": 40}, r"weights do not fit config.json \(encoder.layer.0.*dense.weight is 48 x 32, .* 40 x 32"),
        ({"max_position_embeddings": 70}, "position_embeddings.weight is 66 x 32, and by config.json it is 70 x 32"),
        ({"num_hidden_layers": 3}, "the weights have no encoder.layer.2.* which BertModel needs"),
    ],
)
def test_what_the_encoder_cannot_hold_is_refused_with_the_reason(change: dict[str, Any], message: str, make_peer: Make) -> None:
    folder, _ = make_peer("bert")
    edit(folder / "config.json", **change)
    with pytest.raises(IntegrityError, match=message):
        load(folder)


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was opened",))


def test_pickled_weights_are_never_opened(make_peer: Make) -> None:
    folder, _ = make_peer("bert")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(
        IntegrityError,
        match=r"model\.safetensors: missing; pytorch_model\.bin cannot be used instead: mtlkit does not open pickle files",
    ):
        load(folder)


@pytest.mark.parametrize(
    ("text", "diagnosis"),
    [
        ("\n<!DOCTYPE html><html><head><title>Sign in</title></head></html>", "an HTML page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n", "a git-LFS pointer.*git lfs pull"),
    ],
)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "modules.json"])
def test_a_web_page_or_a_pointer_in_a_folder_of_the_hub_is_called_by_its_name(  # fault 33
    name: str, text: str, diagnosis: str, tmp_path: Path
) -> None:
    write_peer("bert", tmp_path, ["The cat sleeps near the river."] * 20)
    (tmp_path / name).write_text(text)
    with pytest.raises(IntegrityError, match=f"{name}: {diagnosis}"):
        load(tmp_path)
