"""The head of a masked language model of transformers gives its logits, and more training starts from its loss."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from peers import PEERS, write_peer
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch.nn import functional

from mtlkit.errors import IntegrityError
from mtlkit.inference.load_weights import load_weights, prediction_head_of
from mtlkit.model.encoder import own_encoder
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.language import token_losses
from mtlkit.model.masked import MaskedLanguageModel

TEXTS = ["The cat sleeps near the river.", "A saw cuts wood, and the dog barks at it."]
MASKED = [kind for kind in PEERS if FAMILIES[kind].head and not FAMILIES[kind].causal]


def masked_folder(kind: str, folder: Path) -> torch.nn.Module:
    model: torch.nn.Module = write_peer(kind, folder, TEXTS * 10, "ForMaskedLM")
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MASKED)
def test_the_losses_of_masked_tokens_are_those_of_the_class(kind: str, tmp_path: Path) -> None:
    theirs = masked_folder(kind, tmp_path)
    loaded = load_weights(tmp_path, head=True)
    head = prediction_head_of(tmp_path, loaded.checkpoint.architecture)
    assert head is not None
    model = MaskedLanguageModel(own_encoder(loaded.model.backbone), head).eval()
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = tokenizer.encode(TEXTS[1]).ids
    encoded = loaded.encoder.encode([TEXTS[1]])
    assert encoded.ids.tolist() == ids
    with torch.no_grad():
        logits = theirs(input_ids=torch.tensor([ids])).logits[0]
    places, targets = torch.arange(len(ids)), torch.arange(len(ids)) % 20
    losses, right = model.scored(encoded.batch(np.arange(1)), places, targets)
    torch.testing.assert_close(losses, functional.cross_entropy(logits, targets, reduction="none"), atol=2e-5, rtol=1e-5)
    assert right.tolist() == logits.argmax(1).eq(targets).tolist()
    assert "not loaded" not in loaded.note


def test_the_families_without_one_have_no_such_class_or_a_bare_output_layer() -> None:
    assert set(PEERS) - set(MASKED) == {"eurobert", "modernbert-decoder"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("window", [0, 2, 6])
def test_the_losses_of_next_tokens_are_those_of_the_class(window: int, tmp_path: Path) -> None:
    theirs = write_peer("modernbert-decoder", tmp_path, TEXTS * 10, "ForCausalLM")
    if window:
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps({**config, "sliding_window": window}))
        theirs = type(theirs).from_pretrained(tmp_path).eval()
    loaded = load_weights(tmp_path, head=True)
    assert loaded.head is not None
    assert "not loaded" not in loaded.note
    encoded = loaded.encoder.encode([TEXTS[1]])
    targets = torch.arange(len(encoded.ids)) % 20
    with torch.no_grad():
        logits = theirs(input_ids=torch.from_numpy(encoded.ids.astype(np.int64))[None]).logits[0]
        losses = token_losses(own_encoder(loaded.model.backbone), encoded.batch(np.arange(1)), targets, loaded.head)
    torch.testing.assert_close(losses, functional.cross_entropy(logits, targets, reduction="none"), atol=2e-5, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("key", "value"), [("classifier_activation", "silu"), ("tie_word_embeddings", False), ("hidden_activation", "silu")]
)
def test_heads_that_compute_something_else_are_refused(key: str, value: object, tmp_path: Path) -> None:
    write_peer("modernbert-decoder", tmp_path, TEXTS * 10, "ForCausalLM")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, key: value}))
    architecture = load_weights(tmp_path).checkpoint.architecture
    with pytest.raises(IntegrityError, match=r"(classifier_activation|tie_word_embeddings) .* is not supported"):
        prediction_head_of(tmp_path, architecture)


@pytest.mark.filterwarnings("ignore")
def test_other_classes_have_no_such_head_and_damaged_ones_are_errors(tmp_path: Path) -> None:
    masked_folder("bert", tmp_path)
    architecture = load_weights(tmp_path).checkpoint.architecture
    assert "masked-language-model head of BertForMaskedLM not loaded" in load_weights(tmp_path).note
    weights = load_file(tmp_path / "model.safetensors")
    norm = "cls.predictions.transform.LayerNorm.weight"
    save_file({name: weight for name, weight in weights.items() if name != norm}, tmp_path / "model.safetensors")
    with pytest.raises(IntegrityError, match=r"(?s)language-model head does not fit.*norm\.weight"):
        prediction_head_of(tmp_path, architecture)
    save_file({**weights, norm: torch.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(IntegrityError, match="does not fit"):
        prediction_head_of(tmp_path, architecture)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    assert prediction_head_of(tmp_path, architecture) is None
