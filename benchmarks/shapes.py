"""Folders with random weights in the shape of published models, for speed alone; texts are read with MiniLM's tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

SPECIAL = {"pad_token_id": 0, "bos_token_id": 101, "eos_token_id": 102}  # of MiniLM's tokenizer
ENDS = {"cls_token_id": 101, "sep_token_id": 102}
GLOBAL = {"rope_type": "default", "rope_theta": 250_000.0}

# name: (class of transformers, what its configuration has besides defaults)
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "modernbert-base": ("ModernBert", {**SPECIAL, **ENDS}),
    "nomic-embed-text-v1.5": ("NomicBert", SPECIAL),
    "gte-base-en-v1.5": ("Gte", {**SPECIAL, "vocab_size": 30528, "type_vocab_size": 0}),
    "eurobert-210m": ("EuroBert", {**SPECIAL, "rope_parameters": GLOBAL}),
}


def write_shape(name: str, other: Path, folder: Path) -> Path:
    """Writes the folder of a model of this shape, with the tokenizer and the modules of another folder."""
    import torch
    import transformers

    kind, settings = SHAPES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**settings)
    model = getattr(transformers, f"{kind}Model")(config)
    target = folder / name
    shutil.copytree(other, target, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("*.safetensors"))
    model.save_pretrained(target)
    return target
