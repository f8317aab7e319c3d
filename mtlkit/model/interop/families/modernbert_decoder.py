"""The causal relative of ModernBERT, of which the decoders of Ettin are (Weller et al. 2025)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.model.interop.families import modernbert
from mtlkit.model.interop.families.base import FAMILIES, UnsupportedSetting
from mtlkit.model.interop.families.rope import number

WINDOW = modernbert.WINDOW // 2


def read_options(config: Mapping[str, Any]) -> BlockOptions:
    """Their window counts the token itself."""
    own = "local_attention" if config.get("sliding_window") is None else "sliding_window"
    seen = int(number(config, "sliding_window", number(config, "local_attention", modernbert.WINDOW) // 2))
    options = modernbert.block_options(config, max(0, seen - 1))
    if options.local_layers and seen < 1:
        raise UnsupportedSetting(own, config[own], ("a number of tokens above 0",))
    return options


def write_options(architecture: Architecture) -> dict[str, Any]:
    window = architecture.blocks.window
    seen = WINDOW if window is None else window + 1
    return {**modernbert.write_options(architecture), "sliding_window": seen, "local_attention": 2 * seen}


FAMILIES.add(
    replace(
        modernbert.MODERNBERT,
        name="modernbert-decoder",
        model_class="ModernBertDecoderModel",
        qkv=("attn.q_proj", "attn.k_proj", "attn.v_proj"),
        causal=True,
        language_model=("ModernBertDecoderForCausalLM", "model"),
        head=("lm_head.dense", "lm_head.norm", "decoder.bias"),
        relative="modernbert",
        read_options=read_options,
        write_options=write_options,
    )
)
