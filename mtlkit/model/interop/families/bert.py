"""BERT and close variants: RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mtlkit.model.interop.families.base import FAMILIES, POOLER, Family

KEYS = {
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
NAMES = {
    "tokens": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}
BLOCK = {
    "attention.out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "expand": "intermediate.dense",
    "contract": "output.dense",
    "mlp_norm": "output.LayerNorm",
}
TRANSFORM, BIASES = "cls.predictions.transform", ("cls.predictions.bias", "cls.predictions.decoder.bias")  # for masked tokens
QKV = ("attention.self.query", "attention.self.key", "attention.self.value")
DEMANDS: dict[str, object] = {"position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False}
DEFAULTS: dict[str, Any] = {
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
    **DEMANDS,  # position_embedding_type: versions before 5 supported other values
}

BERT = FAMILIES.add(
    Family(
        "bert",
        "BertModel",
        NAMES,
        BLOCK,
        KEYS,
        DEFAULTS,
        QKV,
        tokenizer="Bert",
        token_types="embeddings.token_type_embeddings",
        demands=DEMANDS,
        unused=POOLER,
        classifier=("tanh", "pooler.dense", "classifier"),
        head=(f"{TRANSFORM}.dense", f"{TRANSFORM}.LayerNorm", *BIASES),
    )
)
XLM_ROBERTA = FAMILIES.add(
    replace(
        BERT,
        name="xlm-roberta",
        model_class="XLMRobertaModel",
        tokenizer="XLMRoberta",
        shifted=True,
        defaults={**DEFAULTS, "pad_token_id": 1},
        classifier=("tanh", "classifier.dense", "classifier.out_proj"),
        head=("lm_head.dense", "lm_head.layer_norm", "lm_head.bias", "lm_head.decoder.bias"),
    )
)
FAMILIES.add(replace(XLM_ROBERTA, name="camembert", model_class="CamembertModel", tokenizer="Camembert"))
FAMILIES.add(
    replace(
        XLM_ROBERTA,
        name="roberta",
        model_class="RobertaModel",
        tokenizer="Roberta",
        defaults={**XLM_ROBERTA.defaults, "vocab_size": 50265},
    )
)
FAMILIES.add(
    replace(
        BERT,
        name="electra",
        model_class="ElectraModel",
        names={**NAMES, "widen": "embeddings_project"},
        keys={**KEYS, "embedding_dim": "embedding_size"},
        defaults={**DEFAULTS, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 1024, "embedding_size": 128},
        unused={},
        classifier=("mlp", "classifier.dense", "classifier.out_proj"),
        head=("generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head.bias"),
    )
)
