"""Tiny models of transformers inside the modules of sentence-transformers, saved as that library saves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

Wrap = Callable[..., Path]  # `wrap("bert", pooling="cls", prompts={...}, ...)`

SPECIAL = {
    "bert": {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
    "roberta": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"},
}


def write_plain(kind: str, folder: Path, texts: Sequence[str]) -> None:
    """A folder of transformers, with a tokenizer that transformers reads unchanged."""
    from peers import write_peer

    write_peer(kind, folder, texts)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40, **SPECIAL[kind]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_wrapped(
    folder: Path,
    plain: Path,
    *,
    pooling: str | tuple[str, ...] = "mean",
    dense: Sequence[tuple[int, Any, bool]] = (),
    layer_norm: bool = False,
    include_prompt: bool = True,
    normalize: bool = False,
    dropout: bool = False,
    layers: Sequence[float] = (),
    **settings: Any,
) -> Path:
    """The folder that sentence-transformers saves of a plain one with these settings; `dense`: width, activation and bias of each
    layer; `layers`: the weights of WeightedLayerPooling from the first layer that has one."""
    library: Any = pytest.importorskip("sentence_transformers")
    modules = library.sentence_transformer.modules
    chain = [modules.Transformer(str(plain)), modules.Pooling(32, pooling_mode=pooling, include_prompt=include_prompt)]
    if layers:
        config = chain[0].model.config
        config.output_hidden_states, start = True, config.num_hidden_layers + 1 - len(layers)
        chain.insert(1, modules.WeightedLayerPooling(32, config.num_hidden_layers, start))
        chain[1].layer_weights.data.copy_(chain[1].layer_weights.data.new_tensor(layers))
    width = 32 if isinstance(pooling, str) else 32 * len(pooling)
    for outputs, activation, bias in dense:
        chain.append(modules.Dense(width, outputs, bias, activation))
        width = outputs
    if layer_norm:
        chain.append(modules.LayerNorm(width))
        for weight in chain[-1].parameters():
            weight.data.uniform_(0.5, 1.5)
    chain += [modules.Dropout(0.5)] * dropout + [modules.Normalize()] * normalize
    library.SentenceTransformer(modules=chain, device="cpu", **settings).save_pretrained(str(folder), create_model_card=False)
    return folder
