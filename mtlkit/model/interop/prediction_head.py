"""The layers that predict tokens in a language model of transformers: read to go on with its training, written by exports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from mtlkit.config.architecture import Architecture
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.classifier import transformer_of
from mtlkit.model.interop.families.base import ACTIVATION_NAMES, FAMILIES, Family
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.interop.weight_files import stored_types, weight_files
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.model.weight_checks import UnusableWeight, usable

KINDS = {False: "ForMaskedLM", True: "ForCausalLM"}  # ends of names of classes, by whether attention is causal
ACTIVATION, TIED = "classifier_activation", "tie_word_embeddings"


def has_head(config: Mapping[str, Any]) -> bool:
    """Whether the class of a config.json predicts tokens with a head that is supported."""
    family, named = FAMILIES.get(str(config.get("model_type"))), config.get("architectures")
    if family is None or not family.head or not isinstance(named, list):
        return False
    return any(str(name).endswith(KINDS[family.causal]) for name in named)


def is_used(config: Mapping[str, Any]) -> bool:
    """Whether nothing is lost of what the class of a config.json predicts tokens with: such a head, or the token embedding."""
    family, named = FAMILIES.get(str(config.get("model_type"))), config.get("architectures")
    bare = family is not None and family.causal and not family.head and config.get(TIED) is not False
    return has_head(config) or (bare and family is not None and named == [family.language_model[0]])


def read_their_head(folder: Path, architecture: Architecture) -> PredictionHead | None:
    """The head of a folder of transformers that predicts tokens; None if the folder has none. Raises IntegrityError.

    An output layer without a bias gets one of zeros.
    """
    inner = transformer_of(folder)
    config = {} if inner is None else read_object(inner / CONFIG)
    if inner is None or not has_head(config):
        return None
    _check(config, architecture, inner / CONFIG)
    stored = stored_types(inner)
    names = {ours: their for ours, their in names_of(FAMILIES[config["model_type"]], stored).items() if their in stored}
    head = PredictionHead(architecture, dense_bias="dense.bias" in names, norm_bias="norm.bias" in names)
    wanted, tensors = {their: ours for ours, their in names.items()}, {"bias": head.bias.detach()}
    try:
        for path in weight_files(inner):
            with safe_open(path, "pt") as file:
                found = wanted.keys() & set(file.keys())
                tensors |= {wanted[name]: usable(name, file.get_tensor(name)) for name in found}
        head.load_state_dict(tensors)
    except UnusableWeight as error:
        raise IntegrityError(f"{inner}: {error}") from None
    except RuntimeError as error:
        raise IntegrityError(
            f"{inner}: its language-model head does not fit {CONFIG} ({str(error).splitlines()[-1].strip()})"
        ) from None
    return head


def _check(config: Mapping[str, Any], architecture: Architecture, path: Path) -> None:
    """Raises IntegrityError for a head that computes something else."""
    activation = config.get(ACTIVATION, FAMILIES[config["model_type"]].defaults.get(ACTIVATION))
    if activation is not None and ACTIVATION_NAMES.get(str(activation)) != architecture.activation:
        raise IntegrityError(f"{path}: {ACTIVATION} {activation!r} is not supported, only that of the layers")
    if config.get(TIED) is False:
        raise IntegrityError(f"{path}: {TIED} false is not supported: the output layer has to be the token embedding")


def names_of(family: Family, stored: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Our names of the weights of a head, and theirs, as far as a file that stores these has them."""
    dense, norm, *biases = family.head
    bias = next((name for name in biases if name in (stored or ())), biases[0])
    theirs = {"dense": dense, "norm": norm}
    names = {f"{ours}.{kind}": f"{their}.{kind}" for ours, their in theirs.items() for kind in ("weight", "bias")}
    return {**names, "bias": bias}


def their_head(family: Family, architecture: Architecture, head: PredictionHead) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of a head under a family's names, float32 on the CPU, and the keys of its config.json. Raises UsageError if it
    has a bias that the family has no place for."""
    names, weights = names_of(family), {name: weight.detach().cpu().float() for name, weight in head.state_dict().items()}
    optional, absent = ACTIVATION in family.defaults, torch.zeros(architecture.token_dim)
    if optional and not architecture.blocks.norm_bias and "norm.bias" in weights:
        raise UsageError(f"{family.language_model[0]} has no biases in norms, and the head has one")
    if not optional or architecture.blocks.norm_bias:
        weights.setdefault("norm.bias", absent)
    if not optional:
        weights.setdefault("dense.bias", absent)
    activation = {ours: theirs for theirs, ours in reversed(ACTIVATION_NAMES.items())}[architecture.activation]
    keys = {"decoder_bias": True, "classifier_bias": "dense.bias" in weights, ACTIVATION: activation}
    return {names[ours]: weight.contiguous() for ours, weight in weights.items()}, keys if optional else {}
