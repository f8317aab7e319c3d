"""Loads folders of models that run through transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from mtlkit.errors import IntegrityError, listed
from mtlkit.model.auto.automodel import AutoBackbone, unwrapped
from mtlkit.model.auto.hf_classes import library_class, library_config, one_line
from mtlkit.model.description import CONFIG, ModelDescription
from mtlkit.model.interop.auto.models import read_architecture
from mtlkit.model.interop.dense import check_widths, read_dense_weights
from mtlkit.model.interop.describing import describe
from mtlkit.model.interop.head_files import read_heads, read_tasks
from mtlkit.model.interop.modules import SentenceTransformerModules, read_modules
from mtlkit.model.interop.names import TOKEN_WEIGHTS
from mtlkit.model.interop.settings.model_kinds import check_kind, check_modules
from mtlkit.model.interop.silence import silence
from mtlkit.model.interop.stray_weights import check_adapters
from mtlkit.model.interop.weight_files import stored_types, weight_files
from mtlkit.model.interop.word_weights import read_word_weights
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_checks import UnusableWeight, usable
from mtlkit.runs.record import diagnose


def read_auto(folder: Path) -> tuple[MultiTaskModel, ModelDescription]:
    """Loads the model of a folder through transformers, in eval mode on the CPU. Raises IntegrityError, UsageError."""
    modules, description = _describe(folder)
    architecture = description.architecture
    assert architecture.transformers is not None
    backbone = AutoBackbone(architecture)
    theirs = read_weights(modules.folder, architecture.transformers)
    try:
        ours = {backbone.our_name(name): usable(name, weight) for name, weight in theirs.items()}
        ours |= read_dense_weights(modules.dense)
        if modules.word_weights is not None:
            ours[TOKEN_WEIGHTS] = read_word_weights(modules.word_weights, architecture.vocab_size)
        backbone.load_state_dict(ours, assign=True)
    except UnusableWeight as error:
        raise IntegrityError(f"{modules.folder}: {error}") from None
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise IntegrityError(f"{modules.folder}: weights do not fit {CONFIG} ({reason})") from None
    model = MultiTaskModel(backbone)
    read_heads(folder, model, description.tasks)
    return model.eval().requires_grad_(True), description


def describe_auto(folder: Path) -> ModelDescription:
    """Describes a folder without loading weights. Raises IntegrityError, UsageError."""
    return _describe(folder)[-1]


def _describe(folder: Path) -> tuple[SentenceTransformerModules, ModelDescription]:
    check_modules(folder)
    check_kind(folder)
    modules = read_modules(folder)
    architecture = read_architecture(modules)
    check_widths(modules.dense, architecture.pooled_dim)
    return modules, describe(modules, architecture, read_tasks(folder))


def read_weights(folder: Path, stored: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a transformer by their names in its bare model, float32, as transformers loads them: sharded, renamed, or
    those of a model with a head. Raises IntegrityError."""
    weight_files(folder)  # refuses pickles
    check_adapters(folder, stored_types(folder))
    config = library_config(stored)
    model_class, options = library_class(config)
    try:
        with silence(), torch.random.fork_rng(devices=[]):
            whole, info = model_class.from_pretrained(
                str(folder),
                config=config,
                torch_dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, SafetensorError, RuntimeError, ValueError, KeyError, TypeError) as error:
        reasons = filter(None, map(diagnose, weight_files(folder)))
        raise IntegrityError(f"{folder}: transformers cannot load its weights ({next(reasons, one_line(error))})") from None
    if missing := sorted(info["missing_keys"]):
        raise IntegrityError(f"{folder}: the weights have no {listed(missing, 3)}, which {model_class.__name__} needs")
    model = unwrapped(whole)
    return {name: weight.detach() for name, weight in model.named_parameters()}
