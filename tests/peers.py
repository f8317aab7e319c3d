"""Tiny models of transformers with random weights and real tokenizers, as folders; only tests that ask for one import it."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers: Any = pytest.importorskip("transformers")

LENGTH = 64  # RoBERTa begins its positions after the pad id, 1, so 66 hold 64 tokens
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "hidden_act": "gelu",
}
WORDPIECE, BYTES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
MODERN = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]  # byte-level BPE with the special tokens of BERT
MPNET = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
ALBERT = ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]
ENDS = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
# name: (classes, special tokens, what its configuration has otherwise)
PEERS: dict[str, tuple[str, list[str], dict[str, Any]]] = {
    "bert": ("Bert", WORDPIECE, {}),
    "roberta": ("Roberta", BYTES, {"type_vocab_size": 1}),
    "xlm-roberta": ("XLMRoberta", BYTES, {"type_vocab_size": 1, "layer_norm_eps": 1e-5}),
    "camembert": ("Camembert", BYTES, {"type_vocab_size": 1, "layer_norm_eps": 1e-5}),
    "electra": ("Electra", WORDPIECE, {"embedding_size": 16}),
    "distilbert": ("DistilBert", WORDPIECE, {}),
    "modernbert": ("ModernBert", MODERN, {"local_attention": 8, "cls_token_id": None, "sep_token_id": None}),
    "modernbert-decoder": ("ModernBertDecoder", MODERN, {**dict.fromkeys(ENDS, 1), "num_hidden_layers": 5, "local_attention": 8}),
    "nomic_bert": ("NomicBert", WORDPIECE, {"hidden_act": "silu"}),
    "gte": ("Gte", BYTES, {"type_vocab_size": 2}),
    "eurobert": ("EuroBert", BYTES, {"num_key_value_heads": 2, "hidden_act": "silu"}),
    "mpnet": ("MPNet", MPNET, {}),
    "albert": ("Albert", ALBERT, {"embedding_size": 16, "num_hidden_layers": 5, "num_hidden_groups": 2}),
}
DISTILLED = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": 66}


def marks(special: list[str]) -> tuple[str, str, str, str]:
    """The first and last token of a text, the padding and the unknown token."""
    if special is MPNET:
        return "<s>", "</s>", "<pad>", "[UNK]"
    if special is ALBERT:
        return "[CLS]", "[SEP]", "<pad>", "<unk>"
    return ("<s>", "</s>", "<pad>", "<unk>") if special is BYTES else ("[CLS]", "[SEP]", "[PAD]", "[UNK]")


def peer_tokenizer(texts: Sequence[str], special: list[str]) -> Tokenizer:
    """WordPiece as BERT has it, byte-level BPE as RoBERTa, or sentence pieces as ALBERT; with a stored truncation and padding, as
    hubs have them."""
    wordpiece = special in (WORDPIECE, MPNET)
    first, last, pad, unknown = marks(special)
    tokenizer = Tokenizer(models.WordPiece(unk_token=unknown) if wordpiece else models.BPE(unk_token=unknown))
    if wordpiece:
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    elif special is ALBERT:
        tokenizer = Tokenizer(models.Unigram())
        quotes = [normalizers.Replace(quote, '"') for quote in ("``", "''")]
        plain = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
        tokenizer.normalizer = normalizers.Sequence([*quotes, *plain])
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token=unknown, show_progress=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in (first, last)]
    pair = f"{first} $A {last} $B:1 {last}:1" if special is ALBERT else None  # other classes have a form of their own
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", pair=pair, special_tokens=ends)
    tokenizer.enable_truncation(12)
    tokenizer.enable_padding(length=12, pad_id=tokenizer.token_to_id(pad), pad_token=pad)
    return tokenizer


def peer_model(kind: str, tokenizer: Tokenizer, of: str = "Model") -> Any:
    """A model with weights much larger than fresh ones: all but uniform attention would hide mistakes."""
    name, special, more = PEERS[kind]
    shape = DISTILLED if kind == "distilbert" else SHAPE
    pad = tokenizer.token_to_id(marks(special)[2])
    config = getattr(transformers, f"{name}Config")(
        **{**shape, "bos_token_id": None, "eos_token_id": None, **more}, vocab_size=tokenizer.get_vocab_size(), pad_token_id=pad
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}{of}")(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3) if weight.ndim > 1 else weight.add_(0.1 * torch.randn_like(weight))
    return model


def write_peer(kind: str, folder: Path, texts: Sequence[str], of: str = "Model") -> Any:
    """Writes a folder as transformers does, and gives the model that is in it; `of` ends the name of its class."""
    tokenizer = peer_tokenizer(texts, PEERS[kind][1])
    model = peer_model(kind, tokenizer, of)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    sentence_piece = kind in ("xlm-roberta", "camembert", "gte")  # whose classes want another model than those here
    told = {"model_max_length": LENGTH, **({"tokenizer_class": "PreTrainedTokenizerFast"} if sentence_piece else {})}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return model


@torch.no_grad()
def peer_vectors(model: Any, tokenizer: Tokenizer, texts: Sequence[str], length: int = LENGTH) -> Tensor:
    """The mean of the last hidden states over each text's own tokens, as sentence-transformers computes it for a bare model."""
    tokenizer.enable_truncation(length)
    pad = model.config.pad_token_id
    tokenizer.enable_padding(pad_id=pad, pad_token=tokenizer.id_to_token(pad))
    encodings = tokenizer.encode_batch(list(texts))
    ids, mask = (torch.tensor([getattr(encoding, name) for encoding in encodings]) for name in ("ids", "attention_mask"))
    states = model(input_ids=ids, attention_mask=mask).last_hidden_state
    means: Tensor = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return means
