"""MPNet: BERT's blocks with a relative position bias beside its positions, which begin after the padding id."""

from __future__ import annotations

from mtlkit.model.interop.families.base import FAMILIES, POOLER, Family
from mtlkit.model.interop.families.bert import BLOCK, DEFAULTS, DEMANDS, KEYS, NAMES

# whatever config.json says, the class counts positions from 2 and distances in 32 buckets
FIXED: dict[str, object] = {"pad_token_id": 1, "relative_attention_num_buckets": 32}

FAMILIES.add(
    Family(
        "mpnet",
        "MPNetModel",
        {**NAMES, "position_bias": "encoder.relative_attention_bias"},
        {**BLOCK, "attention.out": "attention.attn.o", "attention_norm": "attention.LayerNorm"},
        {**KEYS, "position_buckets": "relative_attention_num_buckets"},
        {**{key: value for key, value in DEFAULTS.items() if key not in DEMANDS}, "vocab_size": 30527, **FIXED},
        ("attention.attn.q", "attention.attn.k", "attention.attn.v"),
        tokenizer="MPNet",
        shifted=True,
        demands=FIXED,
        unused=POOLER,
        classifier=("tanh", "classifier.dense", "classifier.out_proj"),
        head=("lm_head.dense", "lm_head.layer_norm", "lm_head.bias", "lm_head.decoder.bias"),
    )
)
