"""Exports an mtlkit model as a folder that sentence-transformers loads without mtlkit; the inverse of `reading`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from mtlkit.config.architecture import Architecture, Encoding
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.errors import UsageError, listed
from mtlkit.model.backbone import Backbone
from mtlkit.model.description import CONFIG
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.dense import write_dense_weights
from mtlkit.model.interop.families.base import ACTIVATION_NAMES, FAMILIES, Family, relative_of
from mtlkit.model.interop.layer_pooling import MODULE as LAYER_POOLING
from mtlkit.model.interop.layer_pooling import layer_pooling, write_layer_weights
from mtlkit.model.interop.modules import TOKENIZER_CONFIG, write_modules
from mtlkit.model.interop.names import SECOND_TYPE, TOKEN_WEIGHTS, in_transformer, theirs_from
from mtlkit.model.interop.word_weights import word_weights
from mtlkit.runs.record import WEIGHTS, write_json

ACTIVATIONS = {ours: theirs for theirs, ours in reversed(ACTIVATION_NAMES.items())}  # the first name of each


@dataclass(frozen=True)
class Token:
    """A special token."""

    text: str
    id: int


@dataclass(frozen=True)
class TokenizerFacts:
    """The facts about a tokenizer that other tools need.

    The padding token, and the tokens before and after every text (None: there is none); whether a text is read as if preceded by
    a space; a name for each id, in order, needed for token weights; the unknown and mask tokens, if any, and all other special
    tokens.
    """

    pad: Token
    first: Token | None
    last: Token | None
    spaced: bool = False
    vocabulary: tuple[str, ...] = ()
    unknown: str | None = None
    mask: str | None = None
    others: tuple[str, ...] = ()


def family_for(architecture: Architecture) -> Family:
    """The model type of transformers that computes the same. Raises UsageError with the reason if there is none."""
    causal = architecture.attention == "causal"
    family = relative_of(architecture.family, causal=causal)
    if architecture.norm == "pre" and (family is None or family.native):
        family = next((family for family in FAMILIES.values() if family.native and family.causal is causal), None)
    reasons = {"its norms stand after each addition, and it came from no known model": family is None}
    if family is not None:
        reasons |= {
            f"{family.model_class} is {'bidirectional' if causal else 'causal'}": family.causal != causal,
            f"{family.model_class} always has the activation gelu": "activation" not in family.keys
            and architecture.activation != "gelu",
            f"{family.model_class} has other norms at the embeddings": architecture.embedding_norm
            != ("embedding_norm" in family.names),
            f"{family.model_class} has {'a' if architecture.position_buckets == 0 else 'no'} relative position bias": bool(
                architecture.position_buckets
            )
            != ("position_bias" in family.names),
            f"{family.model_class} has embeddings as wide as its blocks": architecture.widens and "widen" not in family.names,
            f"each layer of {family.model_class} has weights of its own": architecture.layer_groups is not None
            and "layer_groups" not in family.keys,
            f"{family.model_class} has other blocks": family.read_options(_keys(family, architecture)).effective
            != architecture.blocks.effective,
        }
    wrong = [reason for reason, holds in reasons.items() if holds]
    if family is None or wrong:
        raise UsageError(f"no model of transformers is this encoder ({listed(wrong)}); export it with --format onnx")
    return family


def write_foreign(
    folder: Path, encoder: Backbone, encoding: Encoding, marks: TokenizerFacts, vectors: VectorSettings | None = None
) -> None:
    """Writes everything except `tokenizer.json`. Raises UsageError if transformers has no class for the encoder."""
    architecture = encoder.architecture
    if isinstance(encoder, Encoder):
        family = family_for(architecture)
        save_file(their_weights(encoder, family, marks), folder / WEIGHTS, metadata={"format": "pt"})
        write_json(folder / CONFIG, model_config(family, architecture, marks))
    else:
        from mtlkit.model.interop.auto.writing import write_auto

        write_auto(folder, encoder)
    token_weights = encoder.state_dict().get(TOKEN_WEIGHTS)
    write_json(folder / TOKENIZER_CONFIG, tokenizer_config(encoding, marks, typed=architecture.token_types > 1))
    write_json(folder / "special_tokens_map.json", special_tokens(marks))
    share, weighting = architecture.embedding_share, {}
    if share:
        weighting[LAYER_POOLING] = layer_pooling(architecture.dim, architecture.layers)
    if token_weights is not None:
        weighting["WordWeights"] = word_weights(token_weights, marks.vocabulary)
    dense = write_modules(folder, architecture, encoding, weighting, vectors or VectorSettings())
    if share:
        write_layer_weights(folder / f"1_{LAYER_POOLING}", share, architecture.layers)
    write_dense_weights(dense, encoder.state_dict())


def their_weights(encoder: Encoder, family: Family, marks: TokenizerFacts) -> dict[str, Tensor]:
    """All weights under a family's names, float32 on the CPU, except those of modules around it."""
    weights: dict[str, Tensor] = {}
    padding = _padding(encoder.architecture, marks)
    for name, weight in sorted(encoder.state_dict().items(), key=lambda entry: entry[0] == SECOND_TYPE):  # after the positions
        if in_transformer(name):
            parts = theirs_from(family, encoder.architecture, name, weight.detach().cpu().float(), padding)
            weights |= {their_name: part.contiguous().clone() for their_name, part in parts.items()}
    for name, shape in family.unused.items():
        rows, columns = shape(encoder.architecture)
        weights |= {f"{name}.weight": torch.zeros(rows, columns), f"{name}.bias": torch.zeros(rows)}
    return weights


def model_config(family: Family, architecture: Architecture, marks: TokenizerFacts) -> dict[str, Any]:
    """The config.json of a transformers model type."""
    keys = _keys(family, architecture)
    if family.shifted:
        keys[family.keys["max_length"]] += _padding(architecture, marks) + 1
    first, last = marks.first and marks.first.id, marks.last and marks.last.id
    return {
        "model_type": family.name,
        "architectures": [family.model_class],
        **keys,
        family.attention_dropout: 0.0,
        **({family.embedding_dropout: architecture.dropout} if family.embedding_dropout else {}),
        **({"type_vocab_size": architecture.token_types} if family.token_types else {}),
        **family.demands,
        **({"output_hidden_states": True} if architecture.embedding_share else {}),  # for WeightedLayerPooling
        "pad_token_id": _padding(architecture, marks),
        "bos_token_id": first,
        "eos_token_id": last,
        **({"cls_token_id": first, "sep_token_id": last} if family.named_ends else {}),
    }


def _padding(architecture: Architecture, marks: TokenizerFacts) -> int:
    """The `pad_token_id` of config.json, from which positions are counted; the tokenizer may pad with another token."""
    return marks.pad.id if architecture.padding_id is None else architecture.padding_id


def _keys(family: Family, architecture: Architecture) -> dict[str, Any]:
    """The keys of a config.json that describe an architecture, without a shift of positions."""
    values: Mapping[str, Any] = {
        **asdict(architecture),
        "hidden": architecture.mlp_dim,
        "embedding_dim": architecture.token_dim,
        "activation": ACTIVATIONS[architecture.activation],
    }
    return {**{theirs: values[ours] for ours, theirs in family.keys.items()}, **family.write_options(architecture)}


def special_tokens(marks: TokenizerFacts) -> dict[str, Any]:
    """The content of special_tokens_map.json."""
    ends = {"bos_token": marks.first, "eos_token": marks.last, "cls_token": marks.first, "sep_token": marks.last}
    named = {"pad_token": marks.pad.text, **{name: token.text for name, token in ends.items() if token is not None}}
    more = {"unk_token": marks.unknown, "mask_token": marks.mask, "additional_special_tokens": list(marks.others) or None}
    return {**named, **{name: token for name, token in more.items() if token is not None}}


def tokenizer_config(encoding: Encoding, marks: TokenizerFacts, *, typed: bool = False) -> dict[str, Any]:
    """The content of tokenizer_config.json; `typed`: the model has token types."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",  # tokenizer.json unchanged
        **special_tokens(marks),
        "model_max_length": encoding.max_length,
        "model_input_names": ["input_ids", *(["token_type_ids"] if typed else []), "attention_mask"],
        "padding_side": "right",
        "truncation_side": "left" if encoding.truncate == "tail" else "right",
        "split_special_tokens": encoding.literal_special_tokens,  # whether a special token spelled out in a text is plain text
        "add_prefix_space": marks.spaced,  # transformers 4 applies this value, whatever tokenizer.json says
        "clean_up_tokenization_spaces": False,
    }
