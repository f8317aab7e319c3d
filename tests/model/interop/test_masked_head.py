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
from mtlkit.inference.load_weights import load_weights, masked_head_of
from mtlkit.model.encoder import own_encoder
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.masked import MaskedLanguageModel

TEXTS = ["The cat sleeps near the river.", "A saw cuts wood, and the dog barks at it."]
MASKED = [kind for kind in PEERS if FAMILIES[kind].masked]


def masked_folder(kind: str, folder: Path) -> torch.nn.Module:
    model: torch.nn.Module = write_peer(kind, folder, TEXTS * 10, "ForMaskedLM")
    return model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", MASKED)
def test_the_losses_of_masked_tokens_are_those_of_the_class(kind: str, tmp_path: Path) -> None:
    theirs = masked_folder(kind, tmp_path)
    loaded = load_weights(tmp_path, masked=True)
    head = masked_head_of(tmp_path, loaded.checkpoint.architecture)
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
    assert set(PEERS) - set(MASKED) == {"eurobert"}


@pytest.mark.filterwarnings("ignore")
def test_other_classes_have_no_such_head_and_damaged_ones_are_errors(tmp_path: Path) -> None:
    masked_folder("bert", tmp_path)
    architecture = load_weights(tmp_path).checkpoint.architecture
    assert "masked-language-model head of BertForMaskedLM not loaded" in load_weights(tmp_path).note
    weights = load_file(tmp_path / "model.safetensors")
    norm = "cls.predictions.transform.LayerNorm.weight"
    save_file({name: weight for name, weight in weights.items() if name != norm}, tmp_path / "model.safetensors")
    with pytest.raises(IntegrityError, match=r"(?s)masked-language-model head does not fit.*norm\.weight"):
        masked_head_of(tmp_path, architecture)
    save_file({**weights, norm: torch.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(IntegrityError, match="does not fit"):
        masked_head_of(tmp_path, architecture)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    assert masked_head_of(tmp_path, architecture) is None
