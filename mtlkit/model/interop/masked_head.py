"""The output layer of a masked language model of transformers, to go on with its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from mtlkit.config.architecture import Architecture
from mtlkit.errors import IntegrityError
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.classifier import transformer_of
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.interop.weight_files import stored_types, weight_files
from mtlkit.model.masked import MaskedHead
from mtlkit.model.weight_checks import UnusableWeight, usable

MASKED = "ForMaskedLM"


def is_masked(config: Mapping[str, Any]) -> bool:
    """Whether the class of a config.json predicts masked tokens with a head that is supported."""
    family, named = FAMILIES.get(str(config.get("model_type"))), config.get("architectures")
    masked = isinstance(named, list) and any(str(name).endswith(MASKED) for name in named)
    return masked and family is not None and bool(family.masked)


def read_their_masked_head(folder: Path, architecture: Architecture) -> MaskedHead | None:
    """The head of a folder of transformers that predicts masked tokens; None if the folder has none. Raises IntegrityError.

    Layers without a bias (ModernBERT) get one of zeros.
    """
    inner = transformer_of(folder)
    config = {} if inner is None else read_object(inner / CONFIG)
    if inner is None or not is_masked(config):
        return None
    stored = stored_types(inner)
    dense, norm, *biases = FAMILIES[config["model_type"]].masked
    bias = next((name for name in biases if name in stored), biases[0])
    theirs = {"dense": dense, "norm": norm}
    names = {f"{ours}.{kind}": f"{their}.{kind}" for ours, their in theirs.items() for kind in ("weight", "bias")} | {
        "bias": bias
    }
    head = MaskedHead(architecture)
    optional = [name for name in names if name.endswith(".bias") and names[name] not in stored]
    tensors = {name: torch.zeros_like(head.state_dict()[name]) for name in optional}
    wanted = {their: ours for ours, their in names.items() if ours not in optional}
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
            f"{inner}: its masked-language-model head does not fit {CONFIG} ({str(error).splitlines()[-1].strip()})"
        ) from None
    return head
