"""DistilBERT."""

from __future__ import annotations

from mtlkit.model.interop.families.base import FAMILIES, Family
from mtlkit.model.interop.families.bert import NAMES

FAMILIES.add(
    Family(
        "distilbert",
        "DistilBertModel",
        NAMES,
        {
            "attention.out": "attention.out_lin",
            "attention_norm": "sa_layer_norm",
            "expand": "ffn.lin1",
            "contract": "ffn.lin2",
            "mlp_norm": "output_layer_norm",
        },
        {
            "vocab_size": "vocab_size",
            "layers": "n_layers",
            "dim": "dim",
            "heads": "n_heads",
            "hidden": "hidden_dim",
            "max_length": "max_position_embeddings",
            "dropout": "dropout",
            "activation": "activation",
        },
        {
            "vocab_size": 30522,
            "n_layers": 6,
            "dim": 768,
            "n_heads": 12,
            "hidden_dim": 3072,
            "max_position_embeddings": 512,
            "dropout": 0.1,
            "activation": "gelu",
            "pad_token_id": 0,
        },
        ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        tokenizer="Bert",
        block="transformer.layer.{}",
        classifier=("relu", "pre_classifier", "classifier"),
        head=("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
        aliases={"dim": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers"},
        attention_dropout="attention_dropout",
    )
)
