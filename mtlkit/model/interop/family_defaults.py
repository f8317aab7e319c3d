"""What transformers fills in where a config.json leaves a key out: the defaults of each family's configuration class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BERT: dict[str, Any] = {
    "vocab_size": 30522,
    "num_hidden_layers": 12,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "pad_token_id": 0,
    "position_embedding_type": "absolute",  # of versions before 5, which had others
    "is_decoder": False,
    "add_cross_attention": False,
}
ROBERTA = {**BERT, "pad_token_id": 1}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "bert": BERT,
    "roberta": {**ROBERTA, "vocab_size": 50265},
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "electra": {**BERT, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024, "embedding_size": 128},
    "distilbert": {
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
    "esm": {
        **{key: value for key, value in BERT.items() if key != "hidden_act"},
        "vocab_size": None,
        "pad_token_id": None,
        "max_position_embeddings": 1026,
        "emb_layer_norm_before": None,
        "token_dropout": False,
    },
    "gpt2": {
        "vocab_size": 50257,
        "n_layer": 12,
        "n_embd": 768,
        "n_head": 12,
        "n_inner": None,
        "n_positions": 1024,
        "layer_norm_epsilon": 1e-5,
        "resid_pdrop": 0.1,
        "activation_function": "gelu_new",
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        "add_cross_attention": False,
        "pad_token_id": None,
    },
}
# The second name that a class knows some keys by; where it is there, it counts.
ALIASES: Mapping[str, Mapping[str, str]] = {
    "distilbert": {"dim": "hidden_size", "n_heads": "num_attention_heads", "n_layers": "num_hidden_layers"},
    "gpt2": {
        "n_embd": "hidden_size",
        "n_positions": "max_position_embeddings",
        "n_head": "num_attention_heads",
        "n_layer": "num_hidden_layers",
    },
}


def setting(kind: str, config: Mapping[str, Any], key: str) -> Any:
    """What the config.json of a family says of a key, else the default; null, which the classes refuse, counts as left out."""
    for name in (ALIASES.get(kind, {}).get(key, key), key):
        if config.get(name) is not None:
            return config[name]
    return DEFAULTS[kind][key]
