"""Loads a Hugging Face folder (config.json and safetensors) as an mtlkit model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mtlkit.config.architecture import Architecture
from mtlkit.config.from_json import build
from mtlkit.config.pooling import LARGEST
from mtlkit.errors import IntegrityError, UsageError, listed
from mtlkit.model.description import ADAPTER, CONFIG, ModelDescription
from mtlkit.model.encoder import Encoder
from mtlkit.model.heads.base import Affine
from mtlkit.model.interop.auto.models import runs_through
from mtlkit.model.interop.auto.reading import describe_auto, read_auto
from mtlkit.model.interop.classifier import read_classifier
from mtlkit.model.interop.dense import check_widths, read_dense_weights
from mtlkit.model.interop.describing import describe
from mtlkit.model.interop.families.base import ACTIVATION_NAMES, FAMILIES, Family, UnsupportedSetting
from mtlkit.model.interop.head_files import add_head, read_heads, read_tasks
from mtlkit.model.interop.json_files import read_object, read_optional
from mtlkit.model.interop.layer_pooling import read_embedding_share
from mtlkit.model.interop.modules import (
    MODULES,
    TOKENIZER_CONFIG,
    SentenceTransformerModules,
    read_classifier_modules,
    read_modules,
)
from mtlkit.model.interop.names import TOKEN_WEIGHTS, bare_names, check_shapes, in_transformer, ours_from
from mtlkit.model.interop.settings.model_kinds import check_kind, check_modules
from mtlkit.model.interop.settings.text_length import declared_length
from mtlkit.model.interop.settings.tokenizer import kind_of_tokenizer
from mtlkit.model.interop.stray_weights import check_adapters
from mtlkit.model.interop.weight_files import weight_files
from mtlkit.model.interop.word_weights import read_word_weights
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import Uninitialised
from mtlkit.model.weight_checks import UnusableWeight, usable
from mtlkit.runs.record import diagnose


def read_foreign(folder: Path, *, classifier: bool = True) -> tuple[MultiTaskModel, ModelDescription]:
    """Loads the model of a Hugging Face folder, in eval mode on the CPU. Heads are loaded if mtlkit exported the folder, and with
    `classifier`, that of a sequence classifier or a CrossEncoder.

    Raises IntegrityError for an unsupported architecture and for pickled, damaged or missing weights.
    """
    if runs_through(folder) is not None:
        return read_auto(folder)
    modules, family, pad_id, checkpoint = _describe(folder, classifier)
    head = read_classifier(folder) if classifier else None
    theirs = _weights(modules.folder, family)
    try:
        if len(checkpoint.architecture.repeats) > len(theirs):  # checked before the layers are built
            raise ValueError(f"{len(checkpoint.architecture.repeats)} blocks where there are {len(theirs)} weights")
        with torch.device("meta"), Uninitialised():
            encoder = Encoder(checkpoint.architecture)
        shapes = {name: weight.shape for name, weight in encoder.state_dict().items() if in_transformer(name)}
        check_shapes(family, checkpoint.architecture, shapes, theirs, pad_id)
        ours = {name: ours_from(family, checkpoint.architecture, name, theirs, pad_id) for name in shapes}
        ours |= read_dense_weights(modules.dense)
        if modules.word_weights is not None:
            ours[TOKEN_WEIGHTS] = read_word_weights(modules.word_weights, checkpoint.architecture.vocab_size)
        encoder.load_state_dict(ours, assign=True)
        model = MultiTaskModel(encoder)
        if head is not None:
            layers = {
                name: Affine(*(usable(full, theirs[full]) for full in (f"{name}.weight", f"{name}.bias"))) for name in head.layers
            }
            add_head(model, head.spec, list(layers.values()))
    except KeyError as error:
        raise IntegrityError(f"{modules.folder}: the weights have no {error.args[0]}, which {family.model_class} needs") from None
    except UnusableWeight as error:
        raise IntegrityError(f"{modules.folder}: {error}") from None
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise IntegrityError(f"{modules.folder}: weights do not fit {CONFIG} ({reason})") from None
    if head is None:
        read_heads(folder, model, checkpoint.tasks)
    return model.eval().requires_grad_(True), checkpoint


def describe_foreign(folder: Path, *, classifier: bool = True) -> ModelDescription:
    """Describes a Hugging Face folder without loading weights. Raises IntegrityError if the architecture is not supported."""
    return describe_auto(folder) if runs_through(folder) is not None else _describe(folder, classifier)[-1]


def _describe(folder: Path, classifier: bool) -> tuple[SentenceTransformerModules, Family, int, ModelDescription]:
    head = read_classifier(folder) if classifier and not (folder / ADAPTER).is_file() else None
    if classifier and head is None:
        check_modules(folder)
    if head is None:
        check_kind(folder)
    modules = read_modules(folder) if head is None else read_classifier_modules(folder)
    path = modules.folder / CONFIG
    config = read_object(path)
    family = family_of(config, path)
    pad_id = config.get("pad_token_id", family.defaults["pad_token_id"])
    if pad_id is None and not family.shifted:
        pad_id = 0  # nothing depends on it
    if type(pad_id) is not int or not 0 <= pad_id < LARGEST:
        raise IntegrityError(f"{path}: pad_token_id {pad_id!r} is not a token, and positions begin after it")
    architecture = _architecture(config, family, modules, pad_id)
    if architecture.blocks.rotary and (folder / MODULES).is_file() and (declared := declared_length(modules.folder)):
        architecture = replace(architecture, max_length=max(architecture.max_length, declared))
    check_widths(modules.dense, architecture.pooled_dim)
    checkpoint = describe(modules, architecture, read_tasks(folder) if head is None else (head.spec,))
    return modules, family, pad_id, checkpoint


def family_of(config: Mapping[str, Any], path: Path) -> Family:
    """The family of a config.json. Raises IntegrityError that lists the supported ones."""
    kind = str(config.get("model_type") or "")
    if not kind:
        named = config.get("architectures")
        classes = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
        fitting = (kind for kind, family in FAMILIES.items() if family.model_class in classes)
        way = next((f'add "model_type": "{kind}"' for kind in fitting), f"supported: {listed(FAMILIES)}")
        raise IntegrityError(f"{path}: model_type is missing, so the architecture is not known; {way}")
    if kind not in FAMILIES:
        raise IntegrityError(f"{path}: architecture '{kind}' is not supported; supported: {listed(FAMILIES)}")
    family = FAMILIES[kind]
    if family.token_types and config.get("type_vocab_size") == 0:  # gte-base-en-v1.5
        family = replace(family, token_types=None)
    for key, wanted in family.demands.items():
        value = config.get(key, family.defaults[key])
        if value != wanted and not (value is None and wanted is False):
            raise IntegrityError(f"{path}: {kind} with {key} {value!r} is not supported, only with {wanted!r}")
    causal = config.get("is_causal")  # transformers 5 applies it to every family
    if causal is not None and bool(causal) is not family.causal:
        raise IntegrityError(f"{path}: {kind} with is_causal {causal!r} is not supported, only with {family.causal}")
    return family


def _embedding_share(config: Mapping[str, Any], modules: SentenceTransformerModules, layers: int) -> float:
    """The share of the token embeddings in what is pooled; none if the transformer gives the module no hidden states."""
    if modules.layer_pooling is None or not config.get("output_hidden_states"):
        return 0.0
    return read_embedding_share(modules.layer_pooling, layers)


def _architecture(config: Mapping[str, Any], family: Family, modules: SentenceTransformerModules, pad_id: int) -> Architecture:
    path = modules.folder / CONFIG
    known = {field.name for field in fields(Architecture)}
    settings = {ours: family.setting(config, key) for ours, key in family.keys.items() if ours in known}
    values = {ours: value for ours, value in settings.items() if value is not None}
    activation, activations = values.get("activation", "gelu"), {**ACTIVATION_NAMES, **family.activations}
    if not isinstance(activation, str) or activation not in activations:
        raise IntegrityError(f"{path}: activation '{activation}' is not supported; supported: {listed(activations)}")
    try:
        values["activation"] = activations[activation]
        values["max_length"] -= pad_id + 1 if family.shifted else 0
        dim, heads = values["dim"], values["heads"]
        if type(dim) is type(heads) is int and heads > 0 and dim % heads:
            raise ValueError(f"{family.keys['dim']} {dim} is not a multiple of {family.keys['heads']} {heads}")
        if values.get("embedding_dim") == values["dim"] and not family.always_widens:
            del values["embedding_dim"]
        ours = {
            "attention": "causal" if family.causal else "bidirectional",
            "norm": "pre" if family.pre_norm else "post",
            "embedding_norm": "embedding_norm" in family.names,
            "pooling": modules.pooling,
            "embedding_share": _embedding_share(config, modules, values["layers"]),
            "dense": [asdict(module.shape) for module in modules.dense],
            "normalize": modules.normalize,
            "family": family.exported_as or family.name,
            "padding_id": pad_id if family.shifted and not family.native else None,
            "token_types": token_types(config, family, modules.folder),
            "blocks": asdict(family.read_options(config)),
        }
        return build(Architecture, {"epsilon": 1e-12, **({} if family.dropout else {"dropout": 0.0}), **values, **ours})
    except UnsupportedSetting as error:
        raise IntegrityError(f"{path}: {family.name} with {error}") from None
    except (ArithmeticError, KeyError, TypeError, ValueError, UsageError) as error:
        raise IntegrityError(f"{path}: incomplete or damaged ({error})") from None


def token_types(config: Mapping[str, Any], family: Family, folder: Path) -> int:
    """How many token types a tokenizer in the folder gives to the model: two for BERT, one for RoBERTa. Raises IntegrityError."""
    inputs = read_optional(folder / TOKENIZER_CONFIG).get("model_input_names")
    marked = family.token_types is not None and not family.shifted  # tokenizers of shifted families give none
    types = config.get("type_vocab_size", family.types) if marked else 1
    if type(types) is not int or types < 1:
        raise IntegrityError(f"{folder / CONFIG}: type_vocab_size {types!r} is not a number of token types")
    untyped = (
        "token_type_ids" not in inputs if isinstance(inputs, list) else family.untyped and kind_of_tokenizer(folder) != "file"
    )
    return 1 if untyped else min(types, 2)


def _weights(folder: Path, family: Family) -> dict[str, Tensor]:
    """All tensors of a folder, sharded or not, by their names in the bare model; others by their own."""
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        try:
            weights |= load_file(path)
        except (OSError, SafetensorError, KeyError) as error:  # KeyError: a dtype that this torch does not support
            raise IntegrityError(f"{path}: {diagnose(path) or f'not safetensors that can be read ({error})'}") from None
    check_adapters(folder, weights)
    bare = bare_names(family, weights)
    return {bare.get(name, name): weight for name, weight in weights.items()}
