"""ESM: the export format of our bidirectional models."""

from __future__ import annotations

from mtlkit.model.interop.families.base import FAMILIES, POOLER, Family
from mtlkit.model.interop.families.bert import BLOCK, DEFAULTS, DEMANDS, KEYS, QKV

FAMILIES.add(
    Family(
        "esm",
        "EsmModel",
        {
            "tokens": "embeddings.word_embeddings",
            "positions": "embeddings.position_embeddings",
            "norm": "encoder.emb_layer_norm_after",
        },
        {**BLOCK, "attention_norm": "attention.LayerNorm", "mlp_norm": "LayerNorm"},
        {field: key for field, key in KEYS.items() if field != "activation"},  # always exact GELU
        {
            **{key: value for key, value in DEFAULTS.items() if key != "hidden_act"},
            "vocab_size": None,
            "pad_token_id": None,
            "max_position_embeddings": 1026,
            "emb_layer_norm_before": None,
            "token_dropout": False,
        },
        QKV,
        tokenizer="Esm",
        shifted=True,
        pre_norm=True,
        native=True,
        classifier=("tanh", "classifier.dense", "classifier.out_proj"),
        demands={**DEMANDS, "emb_layer_norm_before": False, "token_dropout": False},
        unused={**POOLER, "contact_head.regression": lambda shape: (1, shape.layers * shape.heads)},
    )
)
