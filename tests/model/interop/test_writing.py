"""An exported model computes the same in transformers, with the same tensors, and can be read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peers import PEERS, marks, peer_tokenizer, peer_vectors, transformers

from mtlkit.config.architecture import Architecture, Attention, Encoding
from mtlkit.config.pooling import Pooling
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.reading import read_foreign
from mtlkit.model.interop.writing import Token, TokenizerFacts, family_for, write_foreign

pytestmark = pytest.mark.filterwarnings("ignore")

Make = Callable[[str], tuple[Path, Any]]
OURS = TokenizerFacts(Token("<pad>", 0), Token("<bos>", 1), Token("<eos>", 2))


def loaded_by_transformers(folder: Path) -> Any:
    """The model, when each of its tensors stood in the file and no other did."""
    model, report = transformers.AutoModel.from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    return model.eval()


def dropouts(model: torch.nn.Module) -> set[float]:
    """The rates of all dropout, as layers or as numbers that functions are given."""
    layers = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    values = [vars(module).get(name) for module in model.modules() for name in ("dropout", "attention_dropout")]
    return layers | {value for value in values if isinstance(value, float)}


@pytest.mark.parametrize("pooling", ["mean", "weighted"])
@pytest.mark.parametrize(("attention", "name"), [("causal", "GPT2Model"), ("bidirectional", "EsmModel")])
def test_ours_are_a_gpt2_and_an_esm(
    attention: Attention,
    name: str,
    pooling: Pooling,
    tmp_path: Path,
    passages: list[str],
    reader: TextEncoder,
    make_encoder: Callable[..., Encoder],
) -> None:
    encoder = make_encoder(attention, pooling)
    vocabulary = tuple(reader.tokenizer.id_to_token(one) for one in range(encoder.architecture.vocab_size))
    write_foreign(tmp_path, encoder, reader.encoding, replace(OURS, vocabulary=vocabulary))
    model = loaded_by_transformers(tmp_path)
    assert type(model).__name__ == name
    assert dropouts(model) == {encoder.architecture.dropout, 0.0}
    encoded = reader.encode([text for text in passages if not reader.encode([text]).truncated])
    ids, mask = map(torch.from_numpy, encoded.padded(torch.arange(len(encoded)).numpy()))
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask * encoder.token_weights.exp()[ids] if pooling == "weighted" else mask
        means = (states * weights[..., None]).sum(1) / weights.sum(1, keepdim=True)
        rows = torch.from_numpy(batch.rows)
        torch.testing.assert_close(encoder(batch), states[rows][mask[rows].bool()], atol=1e-5, rtol=0)
        torch.testing.assert_close(encoder.encode(batch), means[rows], atol=1e-5, rtol=0)
        again, checkpoint = read_foreign(tmp_path)
        tolerance = 1e-6 if pooling == "weighted" else 0.0  # its logarithms are taken twice
        torch.testing.assert_close(again.encode(batch), encoder.encode(batch), atol=tolerance, rtol=0)
    assert checkpoint.encoding.max_length == reader.encoding.max_length


@pytest.mark.parametrize("kind", PEERS)
def test_export_of_a_family_equals_its_import(kind: str, make_peer: Make, passages: list[str], tmp_path: Path) -> None:
    folder, peer = make_peer(kind)
    model, checkpoint = read_foreign(folder)
    tokenizer = peer_tokenizer(passages, PEERS[kind][1])
    first, last, pad, _ = marks(PEERS[kind][1])
    facts = TokenizerFacts(*(Token(token, tokenizer.token_to_id(token)) for token in (pad, first, last)))
    out = tmp_path / "out"
    out.mkdir()
    write_foreign(out, model.backbone, checkpoint.encoding, facts)
    written = loaded_by_transformers(out)
    assert type(written) is type(peer)
    assert dropouts(written) == {model.backbone.architecture.dropout, 0.0}  # none for attention weights
    wanted = peer_vectors(peer, tokenizer, passages)
    torch.testing.assert_close(peer_vectors(written, tokenizer, passages), wanted, atol=1e-5, rtol=0)
    again, found = read_foreign(out)
    assert found == checkpoint
    assert all(torch.equal(weight, model.state_dict()[name]) for name, weight in again.state_dict().items())


def test_pooling_scaling_and_truncation_are_exported(tmp_path: Path) -> None:
    architecture = Architecture(40, 1, 16, 2, 16, "bidirectional", pooling="first", normalize=True)
    write_foreign(tmp_path, Encoder(architecture), Encoding(12, "tail"), OURS)
    told = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert (told["model_max_length"], told["truncation_side"], told["pad_token"]) == (12, "left", "<pad>")
    _, checkpoint = read_foreign(tmp_path)
    read = checkpoint.architecture
    assert (read.pooling, read.normalize, checkpoint.encoding.max_length) == ("first", True, 12)


BIDIRECTIONAL = Architecture(40, 2, 32, 2, 16, "bidirectional")
BERT = replace(BIDIRECTIONAL, norm="post", family="bert", embedding_norm=True)


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        (replace(BIDIRECTIONAL, activation="gelu_tanh"), "EsmModel always has the activation gelu"),
        (replace(BIDIRECTIONAL, embedding_norm=True), "EsmModel has other norms at the embeddings"),
        (replace(BIDIRECTIONAL, embedding_dim=16), "EsmModel has embeddings as wide as its blocks"),
        (replace(BIDIRECTIONAL, norm="post"), "it came from no known model"),
        (
            replace(BIDIRECTIONAL, norm="post", family="bert", embedding_norm=True, attention="causal"),
            "BertModel is bidirectional",
        ),
    ],
)
def test_what_transformers_has_no_class_for_is_refused(architecture: Architecture, reason: str) -> None:
    with pytest.raises(UsageError, match=f"no model of transformers is this encoder .*{reason}.*--format onnx"):
        family_for(architecture)


def test_a_causal_encoder_may_have_any_activation() -> None:
    assert family_for(replace(BIDIRECTIONAL, attention="causal", activation="gelu_tanh")).name == "gpt2"
