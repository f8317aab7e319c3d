"""Models that run through transformers: vectors as in sentence-transformers, weights, tokenizers and refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from auto_peers import AUTO_PEERS, write_auto_peer, write_auto_wrapped
from conftest import SENTENCES
from peers import transformers

from mtlkit import load
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.load_weights import read_description, read_encoder
from mtlkit.model.auto import hf_classes as library
from mtlkit.model.interop.auto.models import runs_through

LONG = " ".join(SENTENCES)
TEXTS = ["cat", *SENTENCES[:4], LONG, "", "Zürich 日本 🦦 [SEP] </s>", f"{LONG} cat"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of transformers of each kind."""
    folder = tmp_path_factory.mktemp("auto")
    return {kind: write_auto_peer(kind, folder / kind, SENTENCES) for kind in AUTO_PEERS}


@pytest.mark.parametrize("kind", AUTO_PEERS)
def test_vectors_are_those_of_sentence_transformers_alone_and_in_any_batch(
    kind: str, plain: dict[str, Path], tmp_path: Path
) -> None:
    library: Any = pytest.importorskip("sentence_transformers")
    folder = write_auto_wrapped(kind, tmp_path / "wrapped", plain[kind])
    ours, theirs = load(str(folder)), library.SentenceTransformer(str(folder), device="cpu")
    texts = [text for text in TEXTS if text or kind != "gpt_neox"]  # they cannot read a text without tokens
    alone = np.concatenate([theirs.encode([text]) for text in texts])
    np.testing.assert_allclose(ours.embed(texts), alone, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([ours.embed([text]) for text in texts]), alone, atol=1e-5)
    assert ours.full_dim == alone.shape[1]
    assert np.isfinite(ours.embed([""], prompt="none")).all()


def test_a_language_model_without_modules_is_read_at_its_last_token(plain: dict[str, Path], tmp_path: Path) -> None:
    library: Any = pytest.importorskip("sentence_transformers")
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config.from_pretrained(str(plain["qwen3"])))
    shutil.copytree(plain["qwen3"], tmp_path / "generator")
    model.save_pretrained(tmp_path / "generator", max_shard_size="20KB")  # in several files, named as below a head
    (tmp_path / "generator" / "model.safetensors").unlink(missing_ok=True)
    opened = load(str(tmp_path / "generator"))
    theirs = library.SentenceTransformer(str(tmp_path / "generator"), device="cpu")
    np.testing.assert_allclose(opened.embed(TEXTS[:5]), theirs.encode(TEXTS[:5]), atol=1e-5)
    assert "language-model head of Qwen3ForCausalLM not loaded" in " ".join(opened.notes)


def test_the_description_needs_no_weights(plain: dict[str, Path]) -> None:
    shapes = {kind: read_description(folder).architecture for kind, folder in plain.items()}
    assert {kind: shape.attention for kind, shape in shapes.items()} == {
        "deberta-v2": "bidirectional",
        "qwen3": "causal",
        "gemma3_text": "causal",
        "t5": "bidirectional",
        "llama": "causal",
        "gpt_neox": "causal",
    }
    assert {shape.layers for shape in shapes.values()} == {2}
    assert (shapes["t5"].family, shapes["t5"].max_length, shapes["llama"].max_length) == ("transformers:t5", 8192, 64)


def test_vocabulary_files_are_converted_by_transformers(plain: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(plain["qwen3"], tmp_path / "old")
    stored = json.loads((tmp_path / "old" / "tokenizer.json").read_text())["model"]
    (tmp_path / "old" / "tokenizer.json").unlink()
    (tmp_path / "old" / "vocab.json").write_text(json.dumps(stored["vocab"]))
    (tmp_path / "old" / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, stored["merges"])]))
    (tmp_path / "old" / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Qwen2Tokenizer"}))
    ours = read_encoder(tmp_path / "old").encode(SENTENCES)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "old"))(SENTENCES)["input_ids"]
    assert [row.tolist() for row in np.split(ours.ids, ours.offsets[1:-1])] == theirs
    (tmp_path / "old" / "vocab.json").unlink()
    with pytest.raises(IntegrityError, match="no tokenizer found"):
        read_encoder(tmp_path / "old")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "quen"}, "architecture 'quen' is not in transformers [^;]*; mtlkit's own families are [^;]*$"),
        ({"model_type": "quen", "auto_map": {"AutoModel": "code.Model"}}, "code in its folder, which it names, is never run"),
        ({"num_hidden_layers": 3}, r"the weights have no layers\.2.* which LlamaModel needs"),
        ({"hidden_size": 40}, "transformers cannot load its weights"),
        ({"num_hidden_layers": 10**9}, r"config\.json: incomplete or damaged \(num_hidden_layers 1,000,000,000 is out of range"),
        ({"vocab_size": 0}, "transformers cannot build the model"),
        ({"num_key_value_heads": 0}, "transformers cannot build the model"),
        ({"model_type": "clip"}, "'clip' is not a model of texts alone"),
        ({"model_type": "bart"}, "'bart' is an encoder with a decoder"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ],
)
def test_what_transformers_cannot_load_is_refused_with_the_reason(
    change: dict[str, Any], message: str, plain: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(plain["llama"], tmp_path / "changed")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    (folder / "code.py").write_text("raise SystemExit('code of the folder ran')")
    with pytest.raises(IntegrityError, match=message) as caught:
        load(str(folder))
    assert "\n" not in str(caught.value)
    assert "did you mean" not in str(caught.value)


def test_without_transformers_the_command_that_installs_it_is_named(
    plain: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"t5 runs through transformers, .* pip install 'mtlkit\[transformers\]'"):
        load(str(plain["t5"]))


def test_only_other_families_run_through_transformers(plain: dict[str, Path], plain_peers: dict[str, Path]) -> None:
    assert {kind: runs_through(folder) for kind, folder in plain.items()} == {kind: kind for kind in AUTO_PEERS}
    assert [runs_through(folder) for folder in plain_peers.values()] == [None, None]
    assert runs_through(Path("nowhere")) is None
