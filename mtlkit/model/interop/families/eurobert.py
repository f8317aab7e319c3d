"""EuroBERT (Boizard et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.model.interop.families.base import FAMILIES, Family
from mtlkit.model.interop.families.rope import ROPE_KEYS, check_head_dim, rope, rope_parameters

BASE = 10_000.0


def read_options(config: Mapping[str, Any]) -> BlockOptions:
    dim, heads = (FAMILY.setting(config, key) for key in ("hidden_size", "num_attention_heads"))
    check_head_dim(config, dim, heads)
    base, scale = rope(config, BASE)
    shared = config.get("num_key_value_heads")
    return BlockOptions(
        rotary_base=base,
        rotary_scale=scale,
        kv_heads=None if shared == heads else shared,
        gated=True,
        norm_type="rms",
        attention_bias=config.get("attention_bias") or False,
        expand_bias=config.get("mlp_bias") or False,
        contract_bias=config.get("mlp_bias") or False,
    )


def write_options(architecture: Architecture) -> dict[str, Any]:
    options = architecture.blocks
    return {
        "rope_parameters": rope_parameters(options.rotary_base, options.rotary_scale),
        "num_key_value_heads": options.kv_heads or architecture.heads,
        "head_dim": architecture.dim // architecture.heads,
        "attention_bias": options.attention_bias,
        "mlp_bias": options.expand_bias,
    }


FAMILY = FAMILIES.add(
    Family(
        "eurobert",
        "EuroBertModel",
        {"tokens": "embed_tokens", "norm": "norm"},
        {
            "attention.out": "self_attn.o_proj",
            "attention_norm": "input_layernorm",
            "contract": "mlp.down_proj",
            "mlp_norm": "post_attention_layernorm",
        },
        {
            "vocab_size": "vocab_size",
            "layers": "num_hidden_layers",
            "dim": "hidden_size",
            "heads": "num_attention_heads",
            "hidden": "intermediate_size",
            "max_length": "max_position_embeddings",
            "epsilon": "rms_norm_eps",
            "activation": "hidden_act",
        },
        {
            "vocab_size": 128256,
            "num_hidden_layers": 12,
            "hidden_size": 768,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "hidden_act": "silu",
            "pad_token_id": 128001,
        },
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        tokenizer="PreTrained",
        block="layers.{}",
        expand=("mlp.gate_proj", "mlp.up_proj"),
        pre_norm=True,
        dropout=False,
        attention_dropout="attention_dropout",
        read_options=read_options,
        write_options=write_options,
        option_keys=(*ROPE_KEYS, "num_key_value_heads", "attention_bias", "mlp_bias"),
    )
)
