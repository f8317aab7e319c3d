"""ModernBERT (Warner et al. 2024), and models of its class such as Ettin and granite-embedding r2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.model.interop.families.base import FAMILIES, Family, UnsupportedSetting
from mtlkit.model.interop.families.rope import ROPE_KEYS, entries, number, rope_of, rope_parameters

LAYERS, EVERY, WINDOW = 22, 3, 128
GLOBAL, LOCAL = "full_attention", "sliding_attention"
BASES = {GLOBAL: ("global_rope_theta", 160_000.0), LOCAL: ("local_rope_theta", 10_000.0)}


def read_options(config: Mapping[str, Any]) -> BlockOptions:
    if config.get("sliding_window") is not None:  # their class sets local_attention by it
        raise UnsupportedSetting("sliding_window", config["sliding_window"], (None, f"local_attention, {WINDOW} by default"))
    return block_options(config, int(number(config, "local_attention", WINDOW)) // 2)


def block_options(config: Mapping[str, Any], window: int) -> BlockOptions:
    """The options of blocks whose local layers see so many tokens on either side."""
    ropes = {}
    for kind, (key, base) in BASES.items():
        parameters = {**entries(entries(config, "rope_parameters"), kind), **entries(config, "rope_scaling")}
        ropes[kind] = rope_of(config, parameters, number(config, key, base))
    if ropes[LOCAL][1] != ropes[GLOBAL][1]:
        raise UnsupportedSetting("factor", ropes[LOCAL][1], (f"{ropes[GLOBAL][1]}, that of {GLOBAL},",))
    local = tuple(layer for layer, kind in enumerate(_layer_types(config)) if kind == LOCAL)
    return BlockOptions(
        rotary_base=ropes[GLOBAL][0],
        local_rotary_base=ropes[LOCAL][0],
        rotary_scale=ropes[GLOBAL][1],
        window=window,
        local_layers=local,
        gated=True,
        norm_bias=config.get("norm_bias") or False,
        attention_bias=config.get("attention_bias") or False,
        expand_bias=config.get("mlp_bias") or False,
        contract_bias=config.get("mlp_bias") or False,
        first_norm=False,
    )


def _layer_types(config: Mapping[str, Any]) -> list[str]:
    """The kind of attention of each layer."""
    layers = int(number(config, "num_hidden_layers", LAYERS))
    types = config.get("layer_types")
    if types is None:
        every = int(number(config, "global_attn_every_n_layers", EVERY))
        if every < 1:
            raise ValueError(f"global_attn_every_n_layers {every} is not a number above 0")
        return [LOCAL if layer % every else GLOBAL for layer in range(min(layers, 10_000))]
    if not isinstance(types, list) or len(types) != layers:
        raise ValueError(f"layer_types is not a list of {layers} kinds")
    if unknown := [kind for kind in types if kind not in BASES]:
        raise UnsupportedSetting("layer_types", unknown[0], BASES)
    return types


def write_options(architecture: Architecture) -> dict[str, Any]:
    options = architecture.blocks
    bases = {GLOBAL: options.rotary_base, LOCAL: options.local_rotary_base or options.rotary_base}
    every = next((step for step in range(1, architecture.layers + 1) if options.local_layers == _local(architecture, step)), None)
    return {
        "layer_types": [LOCAL if layer in options.local_layers else GLOBAL for layer in range(architecture.layers)],
        **({} if every is None else {"global_attn_every_n_layers": every}),  # read before version 5 of transformers
        "local_attention": WINDOW if options.window is None else 2 * options.window,
        "rope_parameters": {kind: rope_parameters(base, options.rotary_scale) for kind, base in bases.items()},
        **{BASES[kind][0]: base for kind, base in bases.items()},  # read before version 5
        "norm_bias": options.norm_bias,
        "attention_bias": options.attention_bias,
        "mlp_bias": options.expand_bias,
    }


def _local(architecture: Architecture, every: int) -> tuple[int, ...]:
    return tuple(layer for layer in range(architecture.layers) if layer % every)


MODERNBERT = FAMILIES.add(
    Family(
        "modernbert",
        "ModernBertModel",
        {"tokens": "embeddings.tok_embeddings", "embedding_norm": "embeddings.norm", "norm": "final_norm"},
        {
            "attention.out": "attn.Wo",
            "attention_norm": "attn_norm",
            "expand": "mlp.Wi",
            "contract": "mlp.Wo",
            "mlp_norm": "mlp_norm",
        },
        {
            "vocab_size": "vocab_size",
            "layers": "num_hidden_layers",
            "dim": "hidden_size",
            "heads": "num_attention_heads",
            "hidden": "intermediate_size",
            "max_length": "max_position_embeddings",
            "epsilon": "norm_eps",
            "dropout": "mlp_dropout",
            "activation": "hidden_activation",
        },
        {
            "vocab_size": 50368,
            "num_hidden_layers": LAYERS,
            "hidden_size": 768,
            "num_attention_heads": 12,
            "intermediate_size": 1152,
            "max_position_embeddings": 8192,
            "norm_eps": 1e-5,
            "mlp_dropout": 0.0,
            "hidden_activation": "gelu",
            "classifier_activation": "gelu",
            "pad_token_id": 50283,
        },
        ("attn.Wqkv",),
        tokenizer="PreTrained",
        block="layers.{}",
        pre_norm=True,
        named_ends=True,
        attention_dropout="attention_dropout",
        embedding_dropout="embedding_dropout",
        language_model=("ModernBertForMaskedLM", "model"),
        relative="modernbert-decoder",
        head=("head.dense", "head.norm", "decoder.bias"),
        read_options=read_options,
        write_options=write_options,
        option_keys=(
            *ROPE_KEYS,
            *("layer_types", "global_attn_every_n_layers", "local_attention", "sliding_window"),
            *("global_rope_theta", "local_rope_theta", "norm_bias", "attention_bias", "mlp_bias"),
        ),
    )
)
