"""What Hugging Face calls our weights: one table of names a family, read in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BERT_KEYS = {
    "vocab_size": "vocab_size",
    "layers": "num_hidden_layers",
    "dim": "hidden_size",
    "heads": "num_attention_heads",
    "hidden": "intermediate_size",
    "max_length": "max_position_embeddings",
    "epsilon": "layer_norm_eps",
    "dropout": "hidden_dropout_prob",
    "activation": "hidden_act",
}
BERT_NAMES = {
    "tokens": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}
BERT_BLOCK = {
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
    "mlp_norm": "output.LayerNorm",
}
ABSOLUTE: dict[str, object] = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
POOLER, CONTACTS = "pooler.dense", "contact_head.regression"
BERT_QKV = ("attention.self.query", "attention.self.key", "attention.self.value")


@dataclass(frozen=True)
class Family:
    """A model type of transformers that our encoder can hold.

    `names` maps our modules outside the blocks to theirs, `inner` those of a block, which stands at `block`; `qkv` are the
    three projections that we fuse, or the one that they fuse too. `keys` maps fields of `Architecture` to keys of their
    config.json, `demands` says what that must hold for the weights to mean the same. `shifted`: positions begin after the
    pad id. `turned`: matrices are held the other way round. `unused` are layers of theirs that no vector comes from; without
    them in a file transformers warns and fills in random numbers.
    """

    model_class: str
    names: Mapping[str, str]
    inner: Mapping[str, str]
    keys: Mapping[str, str]
    block: str = "encoder.layer.{}"
    qkv: tuple[str, ...] = BERT_QKV
    token_types: str | None = None
    shifted: bool = False
    turned: bool = False
    pre_norm: bool = False
    causal: bool = False
    demands: Mapping[str, object] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def _bert_like(
    model_class: str,
    *,
    shifted: bool = False,
    more_names: Mapping[str, str] | None = None,
    unused: tuple[str, ...] = (POOLER,),
    **more_keys: str,
) -> Family:
    return Family(
        model_class,
        {**BERT_NAMES, **(more_names or {})},
        BERT_BLOCK,
        {**BERT_KEYS, **more_keys},
        token_types="embeddings.token_type_embeddings",
        shifted=shifted,
        demands=ABSOLUTE,
        unused=unused,
    )


FAMILIES: dict[str, Family] = {
    "bert": _bert_like("BertModel"),
    "roberta": _bert_like("RobertaModel", shifted=True),
    "xlm-roberta": _bert_like("XLMRobertaModel", shifted=True),
    "camembert": _bert_like("CamembertModel", shifted=True),
    "electra": _bert_like("ElectraModel", more_names={"widen": "embeddings_project"}, unused=(), embedding_dim="embedding_size"),
    "distilbert": Family(
        "DistilBertModel",
        BERT_NAMES,
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
        block="transformer.layer.{}",
        qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    ),
    # What our own models are elsewhere: bidirectional ones an EsmModel, causal ones a GPT2Model.
    "esm": Family(
        "EsmModel",
        {
            "tokens": "embeddings.word_embeddings",
            "positions": "embeddings.position_embeddings",
            "norm": "encoder.emb_layer_norm_after",
        },
        {**BERT_BLOCK, "attention_norm": "attention.LayerNorm", "mlp_norm": "LayerNorm"},
        {key: name for key, name in BERT_KEYS.items() if key != "activation"},  # always exact GELU
        shifted=True,
        pre_norm=True,
        demands={**ABSOLUTE, "emb_layer_norm_before": False, "token_dropout": False},
        unused=(POOLER, CONTACTS),
    ),
    "gpt2": Family(
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
        block="h.{}",
        qkv=("attn.c_attn",),
        turned=True,
        pre_norm=True,
        causal=True,
        demands={
            "scale_attn_weights": True,
            "scale_attn_by_inverse_layer_idx": False,
            "reorder_and_upcast_attn": False,
            "add_cross_attention": False,
        },
    ),
}

# Each name of transformers' ACT2FN that is one of ours; the first of several is the one that exports have.
ACTIVATION_NAMES = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
