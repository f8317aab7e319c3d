"""Reads and writes LoRA adapters in peft's format: adapter_config.json and adapter_model.safetensors, beside a base model."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtlkit.config.small_files import Unreadable, check_file
from mtlkit.errors import IntegrityError, UsageError, listed
from mtlkit.model.description import ADAPTER
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.families.base import FAMILIES, Family
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.interop.names import ours_from, their_names, theirs_from
from mtlkit.model.interop.writing import family_for
from mtlkit.model.layers.low_rank import Adapter, linear_layers
from mtlkit.model.weight_checks import UnusableWeight, usable
from mtlkit.runs.record import diagnose, write_json

ADAPTER_WEIGHTS = "adapter_model.safetensors"
BASE = "base"  # the folder of the base in an export
TENSOR = re.compile(r"(?:base_model\.model\.)?(.+)\.lora_([AB])\.weight")
REFUSED = (
    "use_dora",
    "modules_to_save",
    "layer_replication",
    "lora_bias",
    "use_qalora",
    "trainable_token_indices",
    "target_parameters",
    "alora_invocation_tokens",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "megatron_config",
)
# The others (olora, pissa, corda, loftq, lora_ga) change the weights of the base, before the training or as peft loads it.
PLAIN_STARTS = (None, True, False, "gaussian", "orthogonal", "eva", "mica")
MERGE = "; merge the adapter with peft's merge_and_unload(), save the result with save_pretrained(), and name that folder"
WAYS = {
    "init_lora_weights": f"{MERGE}, or save the adapter with path_initial_model_for_weight_conversion",
    "alora_invocation_tokens": ": it changes some tokens of a text alone, so that it cannot be merged",
}


def base_of(folder: Path) -> str:
    """The base of an adapter: the path of a folder in that of the adapter or here, else a hub id. Raises IntegrityError."""
    name = read_object(folder / ADAPTER).get("base_model_name_or_path")
    if not isinstance(name, str) or not name:
        raise IntegrityError(f"{folder / ADAPTER}: base_model_name_or_path is missing, so the base is not known; add it")
    return str(folder / name) if (folder / name).is_dir() else name


def apply_adapter(folder: Path, encoder: Encoder) -> None:
    """Adds the adapter in a folder to the weights of its base. Raises IntegrityError for what does not fit."""
    family = FAMILIES.get(str(encoder.architecture.family))
    if family is None:
        raise IntegrityError(f"{folder}: its base is no model of transformers, so the names in it are not known")
    products = _products(folder, _read_scaling(folder))
    weights = dict(encoder.named_parameters())
    layouts = [family, family.in_memory] if family.modules else [family]  # older code of a family has modules named as in files
    for path in linear_layers(encoder, range(encoder.architecture.layers)):
        name = f"{path}.weight"
        for layout in layouts:
            found = {theirs: _named(theirs.removesuffix(".weight"), products) for theirs in their_names(layout, name)}
            added = {theirs: products.pop(own) for theirs, own in found.items() if own is not None}
            try:
                _add(layout, encoder, name, weights[name], added)
            except (RuntimeError, ValueError) as error:
                raise IntegrityError(f"{folder / ADAPTER_WEIGHTS}: does not fit its base at {listed(found)} ({error})") from None
    if products:
        raise IntegrityError(f"{folder / ADAPTER_WEIGHTS}: the base has no linear layers {listed(products, 4)} in its blocks")


@torch.no_grad()
def _add(family: Family, encoder: Encoder, name: str, weight: Tensor, products: Mapping[str, Tensor]) -> None:
    """Adds products, (out, in), by the names of the base's weights."""
    if not products:
        return
    zeros = theirs_from(family, encoder.architecture, name, torch.zeros_like(weight), 0)
    added = {theirs: products[theirs].T if family.turned else products[theirs] for theirs in products}
    if wrong := next((theirs for theirs in added if added[theirs].shape != zeros[theirs].shape), None):
        raise ValueError(f"shape {tuple(added[wrong].shape)} instead of {tuple(zeros[wrong].shape)}")
    weight += ours_from(family, encoder.architecture, name, zeros | added, 0)


def _named(module: str, products: Mapping[str, Tensor]) -> str | None:
    """The product for a module of the bare model, whose path may have a prefix."""
    return next((path for path in products if path == module or path.endswith(f".{module}")), None)


@dataclass(frozen=True)
class Scaling:
    """By what the products of an adapter are scaled: lora_alpha, that of single modules by a pattern of their names
    (alpha_pattern), over the rank, or with `by_root` over its root."""

    alpha: float
    patterns: Mapping[str, float]
    by_root: bool

    def of(self, module: str, rank: int) -> float:
        """The factor of a module, whose path ends with what the first pattern that fits it matches."""
        fitting = (alpha for pattern, alpha in self.patterns.items() if re.match(rf"(.*\.)?({pattern})$", module))
        return next(fitting, self.alpha) / (math.sqrt(rank) if self.by_root else rank)


def _read_scaling(folder: Path) -> Scaling:
    path = folder / ADAPTER
    config = read_object(path)
    kind, alpha, patterns = config.get("peft_type"), config.get("lora_alpha"), config.get("alpha_pattern") or {}
    if kind != "LORA":
        raise IntegrityError(f"{path}: an adapter of type {kind!r} is not supported, only LORA")
    plain = config.get("init_lora_weights") in PLAIN_STARTS
    if refused := next((key for key in REFUSED if config.get(key)), None if plain else "init_lora_weights"):
        raise IntegrityError(f"{path}: {refused} {config[refused]!r} is not supported{WAYS.get(refused, MERGE)}")
    if config.get("bias", "none") != "none":
        raise IntegrityError(f"{path}: bias {config['bias']!r} is not supported, only 'none'")
    if not _is_number(alpha):
        raise IntegrityError(f"{path}: lora_alpha {alpha!r} is not a number")
    if not isinstance(patterns, dict) or not all(_is_number(value) for value in patterns.values()):
        raise IntegrityError(f"{path}: alpha_pattern {patterns!r} has no number for each pattern")
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise IntegrityError(f"{path}: alpha_pattern {pattern!r} is not a regular expression ({error})") from None
    return Scaling(float(alpha), {key: float(value) for key, value in patterns.items()}, bool(config.get("use_rslora")))


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _products(folder: Path, scaling: Scaling) -> dict[str, Tensor]:
    """What the adapter adds to the weight of each module, (out, in), by its path."""
    path = folder / ADAPTER_WEIGHTS
    try:
        check_file(path)
        stored = {name: usable(name, tensor) for name, tensor in load_file(path).items()}
    except Unreadable as error:
        raise IntegrityError(f"{path}: {error}; it is needed to load the adapter") from None
    except UnusableWeight as error:
        raise IntegrityError(f"{path}: {error}") from None
    except (OSError, SafetensorError, KeyError) as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'not safetensors that can be read ({error})'}") from None
    matches = {name: TENSOR.fullmatch(name) for name in stored}
    if unknown := [name for name, match in matches.items() if match is None]:
        raise IntegrityError(f"{path}: tensors {listed(unknown, 4)} are not of LoRA on linear layers")
    pairs: dict[str, dict[str, Tensor]] = {}
    for name, match in matches.items():
        assert match is not None
        pairs.setdefault(match[1], {})[match[2]] = stored[name]
    products = {}
    for module, pair in pairs.items():
        if pair.keys() != {"A", "B"} or any(tensor.ndim != 2 for tensor in pair.values()) or len(pair["A"]) != pair["B"].shape[1]:
            raise IntegrityError(f"{path}: lora_A and lora_B of {module} do not fit together")
        products[module] = scaling.of(module, len(pair["A"])) * (pair["B"] @ pair["A"])
    return products


def write_adapter(folder: Path, adapter: Adapter, encoder: Encoder) -> None:
    """Writes an adapter for the export of its encoder in BASE. Raises UsageError if transformers has no class for the encoder."""
    family, spec = family_for(encoder.architecture).in_memory, adapter.spec
    tensors: dict[str, Tensor] = {}
    for path, term in adapter.terms().items():
        wide = theirs_from(family, encoder.architecture, f"{path}.weight", term.b.detach().cpu().float(), 0)
        for name, piece in wide.items():
            module = f"base_model.model.{name.removesuffix('.weight')}"
            tensors[f"{module}.lora_A.weight"] = term.a.detach().cpu().float().contiguous().clone()
            tensors[f"{module}.lora_B.weight"] = (piece.T if family.turned else piece).contiguous().clone()
    modules = sorted({match[1] for match in map(TENSOR.fullmatch, tensors) if match})
    if not modules:
        raise UsageError("the adapter has no layers to export")
    config: dict[str, Any] = {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": BASE,
        "r": spec.rank,
        "lora_alpha": spec.alpha,
        "target_modules": modules,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": family.turned,
        "inference_mode": True,
    }
    save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
    write_json(folder / ADAPTER, config)
