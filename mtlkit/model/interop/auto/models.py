"""Recognises and describes models that run through transformers, as mtlkit's own encoder has no family for them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import MOST_LAYERS, Architecture
from mtlkit.config.from_json import parse_object, to_json
from mtlkit.config.small_files import Unreadable, read_file
from mtlkit.errors import IntegrityError, UsageError, listed
from mtlkit.model.auto.hf_classes import NOT_KEPT, UnknownModel, library_class, library_config, need_library
from mtlkit.model.description import ADAPTER, CONFIG, is_foreign
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.json_files import read_object, read_optional
from mtlkit.model.interop.modules import MODULES, TOKENIZER_CONFIG, SentenceTransformerModules, module_folders

PREFIX = "transformers:"  # of the family of an architecture that runs through transformers
UNBOUNDED = 8192  # tokens of a text for models that state no limit, such as T5


def is_own(config: Mapping[str, Any]) -> bool:
    """Whether mtlkit's own encoder runs the model of a config.json, or none can, as it names no architecture."""
    return str(config.get("model_type") or "") in ("", *FAMILIES)


def runs_through(folder: Path) -> str | None:
    """The architecture of a folder whose model runs through transformers; None for any other folder, also a damaged one."""
    try:
        if not is_foreign(folder):
            stored = parse_object(read_file(folder / CONFIG))["architecture"].get("transformers")
            return None if stored is None else str(stored["model_type"])
        config = transformer_config(folder)
        return None if is_own(config) else str(config["model_type"])
    except (IntegrityError, Unreadable, OSError, ValueError, KeyError, TypeError, AttributeError):  # told when it is loaded
        return None


def transformer_config(folder: Path) -> dict[str, Any]:
    """The config.json of the transformer in a folder of another library; empty for an adapter. Raises IntegrityError."""
    inner = module_folders(folder)[:1] if (folder / MODULES).is_file() else [folder]
    return {} if (folder / ADAPTER).is_file() or not inner else read_object(inner[0] / CONFIG)


def read_architecture(modules: SentenceTransformerModules) -> Architecture:
    """The architecture of the transformer in a folder. Raises IntegrityError if transformers has no class for it, UsageError if
    transformers is not installed."""
    path = modules.folder / CONFIG
    if modules.layer_pooling is not None:
        raise IntegrityError(f"{modules.layer_pooling}: a mean of layers is supported for mtlkit's own families only")
    values = read_object(path)
    need_library(str(values.get("model_type")))
    stored = {key: value for key, value in values.items() if key not in NOT_KEPT}
    try:
        config = library_config(values)
        model, _ = library_class(config)
        if not 0 < config.num_hidden_layers <= MOST_LAYERS:  # checked before they are built
            raise ValueError(f"num_hidden_layers {config.num_hidden_layers:,} is out of range; at most {MOST_LAYERS:,} are built")
        layers, causal = _layers(to_json(stored))
        typed = "token_type_ids" in inspect.signature(model.forward).parameters
        inputs = read_optional(modules.folder / TOKENIZER_CONFIG).get("model_input_names")
        typed = typed and not (isinstance(inputs, list) and "token_type_ids" not in inputs)
        positions = getattr(config, "max_position_embeddings", None)
        heads = getattr(config, "num_attention_heads", None)
        hidden = getattr(config, "intermediate_size", None)
        return Architecture(
            vocab_size=config.vocab_size,
            layers=layers,
            dim=config.hidden_size,
            heads=heads if type(heads) is int else 1,
            max_length=positions if type(positions) is int and positions > 0 else UNBOUNDED,
            attention="causal" if causal else "bidirectional",
            hidden=hidden if type(hidden) is int else None,
            pooling=modules.pooling,
            dense=tuple(module.shape for module in modules.dense),
            normalize=modules.normalize,
            family=f"{PREFIX}{config.model_type}",
            token_types=2 if typed and (getattr(config, "type_vocab_size", None) or 0) > 1 else 1,
            transformers=stored,
        )
    except UnknownModel as error:
        raise IntegrityError(f"{path}: {error}; mtlkit's own families are {listed(FAMILIES, 20)}") from None
    except (ValueError, UsageError) as error:
        raise IntegrityError(f"{path}: incomplete or damaged ({error})") from None


@lru_cache(maxsize=8)
def _layers(stored: str) -> tuple[int, bool]:
    """The number of layers of a model, and whether they are causal. Raises ValueError if it has no stack of layers."""
    from mtlkit.model.auto.automodel import bare_model
    from mtlkit.model.auto.model_parts import find_parts

    model = bare_model(parse_object(stored), "meta")
    stack = model.get_submodule(find_parts(model).stack)
    return len(stack), any(getattr(module, "is_causal", False) for module in stack.modules())


def check_supported(architecture: Architecture, option: str, way: str) -> None:
    """Raises UsageError for an option that only mtlkit's own encoder has."""
    if architecture.transformers is not None:
        kind = architecture.transformers.get("model_type")
        raise UsageError(f"{option} is not supported for {kind}, which runs through transformers; {way}")
