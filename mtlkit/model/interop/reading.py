"""A Hugging Face folder as a model of ours: config.json, safetensors, and what sentence-transformers adds to them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtlkit.config.architecture import Architecture, Encoding, Pooling
from mtlkit.errors import IntegrityError, UsageError, listed, suggest
from mtlkit.model.checkpoint import Uninitialised
from mtlkit.model.description import Checkpoint
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.families import ACTIVATION_NAMES, DEFAULTS, FAMILIES, Family
from mtlkit.model.interop.names import ours_from
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.runs import diagnose

CONFIG, MODULES, WEIGHTS, INDEX = "config.json", "modules.json", "model.safetensors", "model.safetensors.index.json"
POOLINGS: dict[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "first", "cls_token": "first"}
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}  # of norms, in files that once came from TensorFlow
UNLIMITED = 1_000_000  # a tokenizer without a limit says so with a number far above this


@dataclass(frozen=True)
class Modules:
    """What sentence-transformers puts around a transformer: where it lies, pooling, scaling, the longest text."""

    folder: Path
    pooling: Pooling = "mean"
    normalize: bool = False
    max_length: int | None = None


def read_foreign(folder: Path) -> tuple[MultiTaskModel, Checkpoint]:
    """The encoder of a Hugging Face folder, in evaluation mode on the CPU, without heads.

    Raises IntegrityError for an architecture that our encoder cannot hold, for pickled, damaged or missing weights.
    """
    modules, family, pad_id, checkpoint = _describe(folder)
    theirs = _weights(modules.folder, family)
    with torch.device("meta"), Uninitialised():
        encoder = Encoder(checkpoint.architecture)
    try:
        ours = {name: ours_from(family, name, theirs, pad_id) for name in encoder.state_dict()}
        encoder.load_state_dict(ours, assign=True)
    except KeyError as error:
        raise IntegrityError(f"{modules.folder}: the weights have no {error.args[0]}, which {family.model_class} needs") from None
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise IntegrityError(f"{modules.folder}: weights do not fit {CONFIG} ({reason})") from None
    return MultiTaskModel(encoder).eval().requires_grad_(True), checkpoint


def describe_foreign(folder: Path) -> Checkpoint:
    """What a Hugging Face folder holds, without its weights. Raises IntegrityError where our encoder cannot hold it."""
    return _describe(folder)[-1]


def _describe(folder: Path) -> tuple[Modules, Family, int, Checkpoint]:
    modules = read_modules(folder)
    config = _json(modules.folder / CONFIG)
    family = family_of(config, modules.folder / CONFIG)
    pad_id = config.get("pad_token_id") or 0
    architecture = _architecture(config, family, modules, pad_id)
    length = min(modules.max_length or architecture.max_length, architecture.max_length)
    return modules, family, pad_id, Checkpoint("sentence", architecture, Encoding(length, "head"), ())


def family_of(config: Mapping[str, Any], place: Path) -> Family:
    """The family of a config.json. Raises IntegrityError with those that are supported."""
    kind = str(config.get("model_type", config.get("architectures", "none")))
    if kind not in FAMILIES:
        known = listed(FAMILIES)
        raise IntegrityError(f"{place}: architecture '{kind}' is not supported; supported: {known}{suggest(kind, FAMILIES)}")
    family = FAMILIES[kind]
    for key, wanted in family.demands.items():
        found = config.get(key, DEFAULTS[key]) or False
        if found != wanted:
            raise IntegrityError(f"{place}: {kind} with {key} {found!r} is not supported, only with {wanted!r}")
    return family


def _architecture(config: Mapping[str, Any], family: Family, modules: Modules, pad_id: int) -> Architecture:
    place = modules.folder / CONFIG
    known = {one.name for one in fields(Architecture)}
    values = {ours: config[key] for ours, key in family.keys.items() if ours in known and config.get(key) is not None}
    activation = values.get("activation", "gelu")
    if activation not in ACTIVATION_NAMES:
        raise IntegrityError(f"{place}: activation '{activation}' is not supported; supported: {listed(ACTIVATION_NAMES)}")
    try:
        values["activation"] = ACTIVATION_NAMES[activation]
        values["max_length"] -= pad_id + 1 if family.shifted else 0
        if values.get("embedding_dim") == values["dim"]:
            del values["embedding_dim"]
        return Architecture(
            **{"epsilon": 1e-12, **values},
            attention="causal" if family.causal else "bidirectional",
            norm="pre" if family.pre_norm else "post",
            embedding_norm="embedding_norm" in family.names,
            pooling=modules.pooling,
            normalize=modules.normalize,
            family=str(config["model_type"]),
        )
    except (KeyError, TypeError, ZeroDivisionError, UsageError) as error:
        raise IntegrityError(f"{place}: incomplete or damaged ({error})") from None


def _weights(folder: Path, family: Family) -> dict[str, Tensor]:
    """All tensors of a folder, sharded or not, named as the bare model names them."""
    names = [WEIGHTS]
    if (folder / INDEX).is_file():
        names = sorted(set(_json(folder / INDEX).get("weight_map", {}).values()))
    found: dict[str, Tensor] = {}
    for name in names:
        path = folder / name
        if not path.is_file():
            pickled = sorted(one.name for one in folder.glob("*.bin"))
            reason = "; pickled weights are there, but a pickle is never opened, as it can run any code" if pickled else ""
            raise IntegrityError(f"{folder}: {name} is missing{reason}; fetch or convert it to safetensors")
        try:
            found |= load_file(path)
        except SafetensorError as error:
            raise IntegrityError(f"{path}: {diagnose(path) or f'not safetensors ({error})'}") from None
    for old, new in OLD_NAMES.items():
        found = {name.removesuffix(old) + new if name.endswith(old) else name: weight for name, weight in found.items()}
    tokens = f"{family.names['tokens']}.weight"
    prefix = next((name.removesuffix(tokens) for name in found if name.endswith(tokens)), "")
    return {name.removeprefix(prefix): weight for name, weight in found.items() if name.startswith(prefix)}


def read_modules(folder: Path) -> Modules:
    """What modules.json says; a bare transformer is pooled by its mean. Raises IntegrityError for a module that we lack."""
    if not (folder / MODULES).is_file():
        return Modules(folder, max_length=_longest(folder))
    inside, pooling, normalize = folder, POOLINGS["mean"], False
    for module in _json(folder / MODULES):
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
    return Modules(inside, pooling, normalize, _longest(inside))


def _pooling(path: Path) -> Pooling:
    config = _json(path)
    named = config.get("pooling_mode")  # since sentence-transformers 5; flags before
    modes = [named] if isinstance(named, str) else named
    if modes is None:
        modes = [key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise IntegrityError(f"{path}: pooling {listed(modes)} is not supported; supported: mean, cls")
    return POOLINGS[modes[0]]


def _longest(folder: Path) -> int | None:
    """The longest text in tokens, as sentence-transformers or the tokenizer have it."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        value = _json(folder / name).get(key) if (folder / name).is_file() else None
        if value is not None and value < UNLIMITED:
            return int(value)
    return None


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise IntegrityError(f"{path.parent}: {path.name} is missing; it is no model that can be read") from None
    except ValueError as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None
