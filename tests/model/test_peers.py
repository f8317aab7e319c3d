"""The same weights give the same states in transformers: a causal base is a GPT2Model, a bidirectional encoder an EsmModel."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mtlkit.config.architecture import Attention
from mtlkit.data.tokenizer import Encoded, TextEncoder
from mtlkit.model.encoder import Encoder

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers: Any = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")  # what another library warns of is not ours to mend


def padded(encoded: Encoded) -> tuple[Tensor, Tensor]:
    """Ids (N, longest) with pad id 0 to the right, and the mask of what is real."""
    ids = torch.zeros(len(encoded), int(encoded.lengths.max()), dtype=torch.long)
    for row, (start, end) in enumerate(zip(encoded.offsets[:-1], encoded.offsets[1:], strict=True)):
        ids[row, : end - start] = torch.from_numpy(encoded.ids[start:end].astype("int64"))
    return ids, (torch.arange(ids.shape[1]) < torch.from_numpy(encoded.lengths)[:, None]).long()


def gpt2_of(encoder: Encoder) -> Any:
    """A GPT2Model with an encoder's weights."""
    shape = encoder.architecture
    config = transformers.GPT2Config(
        vocab_size=shape.vocab_size, n_positions=shape.max_length, n_embd=shape.dim, n_layer=shape.layers, n_head=shape.heads,
        activation_function="gelu", bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    names = {"tokens": "wte", "positions": "wpe", "blocks": "h", "norm": "ln_f"}
    inner = {
        "attention_norm": "ln_1", "attention.qkv": "attn.c_attn", "attention.out": "attn.c_proj",
        "mlp_norm": "ln_2", "expand": "mlp.c_fc", "contract": "mlp.c_proj",
    }  # fmt: skip
    weights = {}
    for name, weight in encoder.state_dict().items():
        first, *rest = name.split(".")
        if first == "blocks":
            module, kind = ".".join(rest[1:-1]), rest[-1]
            turned = weight.T if weight.ndim == 2 else weight  # Conv1D holds its matrix the other way round
            weights[f"h.{rest[0]}.{inner[module]}.{kind}"] = turned.contiguous()
        else:
            weights[f"{names[first]}.{rest[0]}"] = weight
    model = transformers.GPT2Model(config).eval()
    model.load_state_dict(weights)
    return model


def esm_of(encoder: Encoder) -> Any:
    """An EsmModel with an encoder's weights: positions begin after the pad id, queries, keys and values stand apart."""
    shape = encoder.architecture
    config = transformers.EsmConfig(
        vocab_size=shape.vocab_size, pad_token_id=0, mask_token_id=None, hidden_size=shape.dim, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=4 * shape.dim, max_position_embeddings=shape.max_length + 1,
        position_embedding_type="absolute", emb_layer_norm_before=False, token_dropout=False, layer_norm_eps=1e-5,
    )  # fmt: skip
    inner = {
        "attention_norm": "attention.LayerNorm", "attention.out": "attention.output.dense",
        "mlp_norm": "LayerNorm", "expand": "intermediate.dense", "contract": "output.dense",
    }  # fmt: skip
    model = transformers.EsmModel(config, add_pooling_layer=False).eval()
    weights = {}
    for name, weight in encoder.state_dict().items():
        first, *rest = name.split(".")
        if first == "blocks":
            module, kind, place = ".".join(rest[1:-1]), rest[-1], f"encoder.layer.{rest[0]}"
            if module == "attention.qkv":
                for part, piece in zip(("query", "key", "value"), weight.chunk(3), strict=True):
                    weights[f"{place}.attention.self.{part}.{kind}"] = piece
            else:
                weights[f"{place}.{inner[module]}.{kind}"] = weight
        elif first == "norm":
            weights[f"encoder.emb_layer_norm_after.{rest[0]}"] = weight
        elif first == "tokens":
            weights["embeddings.word_embeddings.weight"] = weight
        else:
            weights["embeddings.position_embeddings.weight"] = torch.cat([torch.zeros(1, shape.dim), weight])
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith("contact_head") for name in missing)
    return model


@pytest.mark.parametrize(("attention", "peer_of"), [("causal", gpt2_of), ("bidirectional", esm_of)])
def test_states_and_vectors_agree_with_transformers(
    attention: Attention,
    peer_of: Callable[[Encoder], Any],
    passages: list[str],
    reader: TextEncoder,
    make_encoder: Callable[[Attention], Encoder],
) -> None:
    encoder = make_encoder(attention)
    encoded = reader.encode(passages)
    ids, mask = padded(encoded)
    batch = encoded.batch(range(len(encoded)))
    with torch.no_grad():
        states_NLD = peer_of(encoder)(input_ids=ids, attention_mask=mask).last_hidden_state
        means = (states_NLD * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)  # as sentence-transformers pools
        rows = torch.from_numpy(batch.rows)
        torch.testing.assert_close(encoder(batch), states_NLD[rows][mask[rows].bool()], atol=1e-5, rtol=0)
        torch.testing.assert_close(encoder.encode(batch), means[rows], atol=1e-5, rtol=0)
