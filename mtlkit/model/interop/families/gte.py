"""GTE (Zhang et al. 2024): gte-base-en-v1.5, gte-multilingual-base and snowflake-arctic-embed-m-v2.0.

The models of Alibaba-NLP have the type "new" and code of their own; transformers calls the same model "gte".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.model.interop.families.base import FAMILIES, Family, UnsupportedSetting
from mtlkit.model.interop.families.bert import KEYS, NAMES
from mtlkit.model.interop.families.nomic_bert import MODULES
from mtlkit.model.interop.families.rope import ROPE_KEYS, check_head_dim, entries, number, rope, rope_parameters

BASE, OLDER_BASE = 160_000.0, 10_000.0  # in transformers, and in the code of Alibaba-NLP


def _options(base: float, scale: float) -> BlockOptions:
    return BlockOptions(rotary_base=base, rotary_scale=scale, gated=True, expand_bias=False)


def read_options(config: Mapping[str, Any]) -> BlockOptions:
    check_head_dim(config, *(GTE.setting(config, key) for key in ("hidden_size", "num_attention_heads")))
    return _options(*rope(config, BASE))


def read_older_options(config: Mapping[str, Any]) -> BlockOptions:
    """A fixed scaling ("ntk") multiplies the base by `factor` and divides frequencies by factor ** (2 / width)."""
    base, scaling = number(config, "rope_theta", OLDER_BASE), entries(config, "rope_scaling")
    if not scaling:
        return _options(base, 1.0)
    if scaling.get("type") != "ntk" or scaling.get("mixed_b") is not None:
        raise UnsupportedSetting("rope_scaling", dict(scaling), (None, {"type": "ntk", "factor": 2.0}))
    factor = number(scaling, "factor", 1.0)
    width = GTE.setting(config, "hidden_size") / GTE.setting(config, "num_attention_heads")
    return _options(base * factor, factor ** (2 / width))


def write_options(architecture: Architecture) -> dict[str, Any]:
    return {"rope_parameters": rope_parameters(architecture.blocks.rotary_base, architecture.blocks.rotary_scale)}


GTE = FAMILIES.add(
    Family(
        "gte",
        "GteModel",
        {name: theirs for name, theirs in NAMES.items() if name != "positions"},
        {
            "attention.out": "attention.o_proj",
            "attention_norm": "attn_ln",
            "expand": "mlp.up_gate_proj",
            "contract": "mlp.down_proj",
            "mlp_norm": "mlp_ln",
        },
        KEYS,
        {
            "vocab_size": 250048,
            "num_hidden_layers": 12,
            "hidden_size": 768,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
            "max_position_embeddings": 8192,
            "layer_norm_eps": 1e-12,
            "hidden_dropout_prob": 0.1,
            "hidden_act": "gelu",
            "pad_token_id": 1,
        },
        ("attention.qkv_proj",),
        tokenizer="XLMRoberta",
        gate_last=True,
        modules={**MODULES, "gate_last": False},
        token_types="embeddings.token_type_embeddings",
        types=1,
        read_options=read_options,
        write_options=write_options,
        option_keys=ROPE_KEYS,
        classifier=("tanh", "pooler.dense", "classifier"),
        head=("lm_head.dense", "lm_head.norm", "lm_head.decoder.bias"),
    )
)
FAMILIES.add(
    replace(
        GTE,
        name="new",
        model_class="NewModel",
        exported_as="gte",
        tokenizer="PreTrained",
        defaults={**GTE.defaults, "vocab_size": 30528, "max_position_embeddings": 2048, "pad_token_id": None},
        read_options=read_older_options,
    )
)
