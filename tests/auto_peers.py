"""Tiny models of transformers that mtlkit's own encoder has no family for, with tokenizers and modules as such models have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from peers import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from wrapped import write_wrapped

SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
GROUPED = {**SHAPE, "num_key_value_heads": 1, "head_dim": 16, "max_position_embeddings": 64}
DISENTANGLED = {
    **SHAPE,
    "max_position_embeddings": 64,
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}


@dataclass(frozen=True)
class AutoPeer:
    """A class of transformers, its configuration, the form of a text in its tokenizer, and the modules around it."""

    model: str
    config: dict[str, Any]
    template: str
    special: tuple[str, ...]
    unigram: bool = False
    modules: dict[str, Any] = field(default_factory=dict)
    tokenizer_config: dict[str, Any] = field(default_factory=dict)


TANH, IDENTITY = torch.nn.Tanh(), torch.nn.Identity()
AUTO_PEERS = {
    "deberta-v2": AutoPeer("DebertaV2", DISENTANGLED, "[CLS] $A [SEP]", ("[PAD]", "[CLS]", "[SEP]", "[UNK]"), unigram=True),
    "qwen3": AutoPeer(
        "Qwen3",
        GROUPED,
        "$A <|endoftext|>",
        ("<|endoftext|>",),
        modules={"pooling": "lasttoken", "normalize": True, "prompts": {"query": "Query: "}, "default_prompt_name": "query"},
        tokenizer_config={"padding_side": "left", "pad_token": "<|endoftext|>", "eos_token": "<|endoftext|>"},
    ),
    "gemma3_text": AutoPeer(
        "Gemma3Text",
        {**GROUPED, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
        "<bos> $A <eos>",
        ("<pad>", "<bos>", "<eos>", "<unk>"),
        modules={"dense": [(40, IDENTITY, False), (24, IDENTITY, False)], "normalize": True},
    ),
    "t5": AutoPeer(
        "T5",
        {"d_model": 32, "num_layers": 2, "num_heads": 3, "d_ff": 48, "d_kv": 16},
        "$A </s>",
        ("<pad>", "</s>", "<unk>"),
        unigram=True,
        modules={"dense": [(24, TANH, True)]},
    ),
    "llama": AutoPeer("Llama", GROUPED, "<s> $A", ("<unk>", "<s>", "</s>"), modules={"pooling": "weightedmean"}),
    "gpt_neox": AutoPeer(
        "GPTNeoX", {**SHAPE, "max_position_embeddings": 64}, "$A", ("<|endoftext|>",), modules={"pooling": "max"}
    ),
}


def auto_tokenizer(peer: AutoPeer, texts: Sequence[str]) -> Tokenizer:
    """Unigram as T5 and DeBERTa-v3 have it, or byte-level BPE as Qwen has it."""
    special = list(peer.special)
    if peer.unigram:
        unknown = next(token for token in special if "unk" in token.lower())
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer: Any = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token=unknown, show_progress=False)
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=peer.template, special_tokens=ends)
    return tokenizer


def write_auto_peer(kind: str, folder: Path, texts: Sequence[str]) -> Path:
    """A folder of transformers with large random weights, so that every detail of a model shows."""
    peer = AUTO_PEERS[kind]
    tokenizer = auto_tokenizer(peer, texts)
    name = "T5EncoderModel" if kind == "t5" else f"{peer.model}Model"
    config = getattr(transformers, f"{peer.model}Config")(**peer.config, vocab_size=tokenizer.get_vocab_size(), pad_token_id=0)
    torch.manual_seed(0)
    model = getattr(transformers, name)(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3) if weight.ndim > 1 else weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40, "pad_token": peer.special[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, **peer.tokenizer_config}))
    return folder


def write_auto_wrapped(kind: str, folder: Path, plain: Path) -> Path:
    """The same as sentence-transformers saves it, with the modules that models of this kind have."""
    pytest.importorskip("sentence_transformers")
    return write_wrapped(folder, plain, **AUTO_PEERS[kind].modules)
