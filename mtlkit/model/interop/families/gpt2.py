"""GPT-2: the export format of our causal models."""

from __future__ import annotations

from mtlkit.model.interop.families.base import FAMILIES, Family

DEMANDS: dict[str, object] = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
    "add_cross_attention": False,
}

FAMILIES.add(
    Family(
        "gpt2",
        "GPT2Model",
        {"tokens": "wte", "positions": "wpe", "norm": "ln_f"},
        {
            "attention.out": "attn.c_proj",
            "attention_norm": "ln_1",
            "expand": "mlp.c_fc",
            "contract": "mlp.c_proj",
            "mlp_norm": "ln_2",
        },
        {
            "vocab_size": "vocab_size",
            "layers": "n_layer",
            "dim": "n_embd",
            "heads": "n_head",
            "hidden": "n_inner",
            "max_length": "n_positions",
            "epsilon": "layer_norm_epsilon",
            "dropout": "resid_pdrop",
            "activation": "activation_function",
        },
        {
            "vocab_size": 50257,
            "n_layer": 12,
            "n_embd": 768,
            "n_head": 12,
            "n_inner": None,
            "n_positions": 1024,
            "layer_norm_epsilon": 1e-5,
            "resid_pdrop": 0.1,
            "activation_function": "gelu_new",
            "pad_token_id": None,
            **DEMANDS,
        },
        ("attn.c_attn",),
        tokenizer="GPT2",
        block="h.{}",
        aliases={
            "n_embd": "hidden_size",
            "n_positions": "max_position_embeddings",
            "n_head": "num_attention_heads",
            "n_layer": "num_hidden_layers",
        },
        turned=True,
        pre_norm=True,
        causal=True,
        native=True,
        demands=DEMANDS,
        language_model=("GPT2LMHeadModel", "transformer"),
        attention_dropout="attn_pdrop",
        embedding_dropout="embd_pdrop",
    )
)
