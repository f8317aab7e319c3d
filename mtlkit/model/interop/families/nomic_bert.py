"""NomicBERT (Nussbaum et al. 2024): nomic-embed-text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.model.interop.families.base import FAMILIES, Family
from mtlkit.model.interop.families.bert import BIASES, KEYS, TRANSFORM
from mtlkit.model.interop.families.rope import ROPE_KEYS, check_head_dim, number, rope, rope_parameters

OLDER = {  # in config.json of nomic-ai's models, whose own class has the keys of GPT-2
    "hidden_size": "n_embd",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
    "intermediate_size": "n_inner",
    "layer_norm_eps": "layer_norm_epsilon",
    "hidden_dropout_prob": "resid_pdrop",
    "hidden_act": "activation_function",
}
BASE = 1000.0
MODULES = {  # of NomicBertModel, on loading
    "block": "layers.{}",
    "inner": {
        "attention.out": "self_attn.o_proj",
        "attention_norm": "post_attention_layernorm",
        "contract": "mlp.down_proj",
        "mlp_norm": "post_mlp_layernorm",
    },
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "expand": ("mlp.gate_proj", "mlp.up_proj"),
}


def read_options(config: Mapping[str, Any]) -> BlockOptions:
    check_head_dim(config, *(FAMILY.setting(config, key) for key in ("hidden_size", "num_attention_heads")))
    base, scale = rope(config, number(config, "rotary_emb_base", BASE))
    return BlockOptions(
        rotary_base=base, rotary_scale=scale, gated=True, attention_bias=False, expand_bias=False, contract_bias=False
    )


def write_options(architecture: Architecture) -> dict[str, Any]:
    return {"rope_parameters": rope_parameters(architecture.blocks.rotary_base, architecture.blocks.rotary_scale)}


FAMILY = FAMILIES.add(
    Family(
        "nomic_bert",
        "NomicBertModel",
        {"tokens": "embeddings.word_embeddings", "embedding_norm": "emb_ln"},
        {"attention.out": "attn.out_proj", "attention_norm": "norm1", "contract": "mlp.fc2", "mlp_norm": "norm2"},
        KEYS,
        {
            "vocab_size": 30528,
            "num_hidden_layers": 12,
            "hidden_size": 768,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "max_position_embeddings": 2048,
            "layer_norm_eps": 1e-12,
            "hidden_dropout_prob": 0.0,
            "hidden_act": "silu",
            "pad_token_id": 0,
        },
        ("attn.Wqkv",),
        tokenizer="Bert",
        block="encoder.layers.{}",
        expand=("mlp.fc12", "mlp.fc11"),
        modules=MODULES,
        older=OLDER,
        activations={"swiglu": "silu", "geglu": "gelu"},
        token_types="embeddings.token_type_embeddings",
        read_options=read_options,
        write_options=write_options,
        option_keys=(*ROPE_KEYS, "rotary_emb_base"),
        classifier=("tanh", "pooler.dense", "classifier"),
        head=(f"{TRANSFORM}.dense", f"{TRANSFORM}.layer_norm", *BIASES),
    )
)
