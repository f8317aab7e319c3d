"""What sentence-transformers puts around a transformer, and the JSON files of a Hugging Face folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Pooling, Truncation
from mtlkit.errors import IntegrityError, listed
from mtlkit.model.description import CONFIG
from mtlkit.runs import diagnose

MODULES, TOKENIZER_CONFIG = "modules.json", "tokenizer_config.json"
POOLINGS: dict[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "first", "cls_token": "first"}
UNLIMITED = 1_000_000  # a tokenizer without a limit says so with a number far above this


@dataclass(frozen=True)
class Modules:
    """What sentence-transformers puts around a transformer: where it lies, pooling, scaling, the longest text."""

    folder: Path
    pooling: Pooling = "mean"
    normalize: bool = False
    max_length: int | None = None
    truncate: Truncation = "head"


def read_modules(folder: Path) -> Modules:
    """What modules.json says; a bare transformer is pooled by its mean. Raises IntegrityError for a module that we lack."""
    if not (folder / MODULES).is_file():
        return Modules(folder, max_length=_longest(folder), truncate=_truncation(folder))
    inside, pooling, normalize = folder, POOLINGS["mean"], False
    for module in read_json(folder / MODULES):
        kind, path = str(module["type"]).rpartition(".")[2], folder / module.get("path", "")
        if kind == "Transformer":
            inside = path
        elif kind == "Pooling":
            pooling = _pooling(path / CONFIG)
        elif kind == "Normalize":
            normalize = True
        else:
            raise IntegrityError(
                f"{folder / MODULES}: module '{kind}' is not supported; supported: Transformer, Pooling, Normalize"
            )
    return Modules(inside, pooling, normalize, _longest(inside), _truncation(inside))


def _pooling(path: Path) -> Pooling:
    config = read_json(path)
    named = config.get("pooling_mode")  # since sentence-transformers 5; flags before
    modes = [named] if isinstance(named, str) else named
    if modes is None:
        modes = [key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise IntegrityError(f"{path}: pooling {listed(modes)} is not supported; supported: mean, cls")
    return POOLINGS[modes[0]]


def _longest(folder: Path) -> int | None:
    """The longest text in tokens, as sentence-transformers or the tokenizer have it."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), (TOKENIZER_CONFIG, "model_max_length")):
        value = read_json(folder / name).get(key) if (folder / name).is_file() else None
        if value is not None and value < UNLIMITED:
            return int(value)
    return None


def _truncation(folder: Path) -> Truncation:
    """Which end of a long text stays."""
    path = folder / TOKENIZER_CONFIG
    return "tail" if path.is_file() and read_json(path).get("truncation_side") == "left" else "head"


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise IntegrityError(f"{path.parent}: {path.name} is missing; it is no model that can be read") from None
    except ValueError as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None
