"""ALBERT: BERT's blocks, of which all layers of a group share one, above narrow embeddings."""

from __future__ import annotations

from dataclasses import replace

from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.families.bert import BERT, DEFAULTS, DEMANDS, KEYS, NAMES

BLOCK = {
    "attention.out": "attention.dense",
    "attention_norm": "attention.LayerNorm",
    "expand": "ffn",
    "contract": "ffn_output",
    "mlp_norm": "full_layer_layer_norm",
}

FAMILIES.add(
    replace(
        BERT,
        name="albert",
        model_class="AlbertModel",
        names={**NAMES, "widen": "encoder.embedding_hidden_mapping_in"},
        inner=BLOCK,
        keys={**KEYS, "embedding_dim": "embedding_size", "layer_groups": "num_hidden_groups"},
        defaults={
            **{key: value for key, value in DEFAULTS.items() if key not in DEMANDS},
            "vocab_size": 30000,
            "embedding_size": 128,
            "hidden_size": 4096,
            "num_hidden_groups": 1,
            "inner_group_num": 1,
            "num_attention_heads": 64,
            "intermediate_size": 16384,
            "hidden_act": "gelu_new",
            "hidden_dropout_prob": 0.0,
        },
        qkv=("attention.query", "attention.key", "attention.value"),
        tokenizer="Albert",
        untyped=True,
        block="encoder.albert_layer_groups.{}.albert_layers.0",
        demands={"inner_group_num": 1},
        always_widens=True,
        unused={"pooler": lambda shape: (shape.dim, shape.dim)},
        classifier=("tanh", "pooler", "classifier"),
        head=("predictions.dense", "predictions.LayerNorm", "predictions.bias", "predictions.decoder.bias"),
    )
)
