"""The modules of a sentence-transformers model: reads and writes modules.json and the configuration of each module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Architecture, Encoding, Truncation
from mtlkit.config.pooling import MOST, Pooling
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.errors import IntegrityError, listed
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.dense import LAYERS, DenseModule, dense_config, read_dense
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.json_files import inside, read_json, read_optional
from mtlkit.model.interop.layer_pooling import MODULE as LAYER_POOLING
from mtlkit.model.interop.settings.checks import SettingNotes, check_files, keys_read
from mtlkit.model.interop.settings.known import (
    LENGTH_FILES,
    LIBRARY,
    MODULE_ENTRY_KEYS,
    MODULE_KEYS,
    PROCESSOR_KEYS,
    SENTENCE_TRANSFORMERS,
    SENTENCE_TRANSFORMERS_KEYS,
)
from mtlkit.model.interop.settings.pooling import bare_pooling, pooling_config, read_pooling
from mtlkit.model.interop.settings.text_length import KEYWORDS, length_settings, longest_text, stored_padding, truncation_of
from mtlkit.model.interop.settings.vectors import read_vector_settings, write_vector_settings
from mtlkit.runs.record import TOKENIZER, write_json

MODULES, TOKENIZER_CONFIG = "modules.json", "tokenizer_config.json"
SUPPORTED = ("Transformer", *MODULE_KEYS)
THEIR_MODULES = "sentence_transformers.models."  # import path that all versions support


@dataclass(frozen=True)
class SentenceTransformerModules:
    """The sentence-transformers modules around a transformer: the transformer's folder, pooling, normalisation, maximum length,
    the folder of the weights of a weighted mean, dense layers after the pooling, and the folder of a mean of layers before it.
    `note` lists unknown and unsupported settings in one line.
    """

    folder: Path
    pooling: Pooling = "mean"
    normalize: bool = False
    max_length: int | None = None
    truncate: Truncation = "head"
    word_weights: Path | None = None
    vectors: VectorSettings = field(default_factory=VectorSettings)
    note: str = ""
    dense: tuple[DenseModule, ...] = ()
    layer_pooling: Path | None = None


def read_modules(folder: Path) -> SentenceTransformerModules:
    """Reads modules.json. A bare transformer uses mean pooling, a bare language model its last token, and both ignore all files
    of sentence-transformers in their folder.

    Raises IntegrityError for an unsupported module or setting.
    """
    if not (folder / MODULES).is_file():
        note = _check_settings(folder, folder, bare=True).line()
        length, truncate = longest_text(folder, bare=True), truncation_of(folder)
        return SentenceTransformerModules(folder, bare_pooling(folder / CONFIG), False, length, truncate, note=note)
    listing = _listed(folder)
    _check_order(folder / MODULES, [kind for kind, _ in listing])
    places = dict(listing)
    mentions = _check_settings(folder, places["Transformer"])
    for kind, path in listing[1:]:
        if path != places["Transformer"]:
            mentions.look(path / CONFIG, read_optional(path / CONFIG), MODULE_KEYS[kind])
    for entry in read_json(folder / MODULES):
        mentions.look(folder / MODULES, entry, MODULE_ENTRY_KEYS)
    word_weights = places.get("WordWeights")
    return SentenceTransformerModules(
        places["Transformer"],
        read_pooling(places["Pooling"] / CONFIG, word_weights),
        "Normalize" in places,
        longest_text(places["Transformer"]),
        truncation_of(places["Transformer"]),
        word_weights,
        read_vector_settings(folder, places["Pooling"] / CONFIG),
        mentions.line(),
        tuple(read_dense(path, kind) for kind, path in listing if kind in LAYERS),
        places.get(LAYER_POOLING),
    )


def read_classifier_modules(folder: Path) -> SentenceTransformerModules:
    """How a sequence classifier reads texts: from their first tokens. Raises IntegrityError for an unsupported setting."""
    inner = module_folders(folder)[0] if (folder / MODULES).is_file() else folder
    settings = read_optional(folder / SENTENCE_TRANSFORMERS)
    if default := settings.get("default_prompt_name"):
        raise IntegrityError(
            f"{folder / SENTENCE_TRANSFORMERS}: default_prompt_name {default!r} is not supported for a CrossEncoder"
        )
    note = _check_settings(folder, inner, bare=True).line()
    length, truncate = longest_text(inner, bare=True), truncation_of(inner)
    return SentenceTransformerModules(inner, "first", max_length=length, truncate=truncate, note=note)


def _listed(folder: Path) -> list[tuple[str, Path]]:
    """Kind and folder of each module in modules.json."""
    entries, modules = read_json(folder / MODULES), []
    names: set[str] = set()
    for module in entries if isinstance(entries, list) else [entries]:
        kind, path = (module.get("type"), module.get("path", "")) if isinstance(module, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(path, str):
            raise IntegrityError(f"{folder / MODULES}: damaged (no list of modules with a type and a path)")
        name = kind.rpartition(".")[2]
        if name not in SUPPORTED or not kind.startswith(LIBRARY):
            shown = name if kind.startswith(LIBRARY) else kind
            raise IntegrityError(f"{folder / MODULES}: module '{shown}' is not supported; supported: {listed(SUPPORTED)}")
        key = module.get("name")
        if key is not None and repr(key) in names:  # the library keeps only the last module of that name
            raise IntegrityError(f"{folder / MODULES}: two modules have the name {key!r}; give each a name of its own")
        names.add(repr(key))
        modules.append((name, inside(folder, path, MODULES)))
    return modules


def module_folders(folder: Path) -> list[Path]:
    """The folders listed in modules.json; empty if there is no such file. Raises IntegrityError."""
    return [module_folder for _, module_folder in _listed(folder)] if (folder / MODULES).is_file() else []


def _check_order(path: Path, kinds: list[str]) -> None:
    """Checks the order: transformer, pooling, then modules on vectors. Raises IntegrityError for any other order."""
    if not kinds:
        raise IntegrityError(f"{path}: lists no modules; it needs a Transformer and its Pooling")
    head = kinds[: kinds.index("Pooling") + 1] if "Pooling" in kinds else []
    rest = [kind for kind in kinds[len(head) :] if kind != "Dropout"]
    layers = len([kind for kind in rest if kind in LAYERS])
    in_order = not set(rest[:layers]).difference(LAYERS) and set(rest[layers:]) <= {"Normalize"} and layers <= MOST
    optional = [kind for kind in (LAYER_POOLING, "WordWeights") if kind in head]
    if head != ["Transformer", *optional, "Pooling"] or not in_order:
        raise IntegrityError(
            f"{path}: the modules {listed(kinds)} are not supported; supported: Transformer, {LAYER_POOLING} and WordWeights "
            "(or not), Pooling, then Dense and LayerNorm, then Normalize, and Dropout anywhere after the Pooling"
        )


def _check_settings(folder: Path, transformer: Path, *, bare: bool = False) -> SettingNotes:
    """Checks every known configuration file against its table. Raises IntegrityError for a refused key."""
    mentions = SettingNotes(folder, {"": [*check_files(folder), *(check_files(transformer) if transformer != folder else [])]})
    for name, keys in keys_read().items():
        path = transformer / name
        if not (bare and name in LENGTH_FILES):
            values = read_optional(path)
            follows = name == CONFIG and str(values.get("model_type") or "") not in ("", *FAMILIES)  # transformers itself
            mentions.look(path, {key: value for key, value in values.items() if key in keys or not follows}, keys)
    padding = stored_padding(transformer)
    mentions.look(transformer / TOKENIZER, {} if padding is None else {"padding_side": padding}, PROCESSOR_KEYS)
    if not bare:
        path = folder / SENTENCE_TRANSFORMERS
        mentions.look(path, read_optional(path), SENTENCE_TRANSFORMERS_KEYS)
        path, settings = length_settings(transformer)
        for name in KEYWORDS:
            if isinstance(settings.get(name), dict):
                mentions.look(path, settings[name], PROCESSOR_KEYS, f"{name}.")
    return mentions


def write_modules(
    folder: Path, architecture: Architecture, encoding: Encoding, weighting: Mapping[str, Any], vectors: VectorSettings
) -> list[Path]:
    """Inverse of `read_modules`; `weighting` contains the modules between transformer and pooling, by kind.

    Returns the folders of the dense layers, for their weights.
    """
    pooling = {
        "word_embedding_dimension": architecture.dim,
        **pooling_config(architecture.pooling),
        "include_prompt": vectors.include_prompt,
    }
    widths = [architecture.pooled_dim, *(shape.width for shape in architecture.dense)]
    dense = [dense_config(*layer) for layer in zip(widths, architecture.dense, strict=False)]
    normalize: list[tuple[str, dict[str, Any]]] = [("Normalize", {})] if architecture.normalize else []
    modules: list[tuple[str, Mapping[str, Any]]] = [*weighting.items(), ("Pooling", pooling), *dense, *normalize]
    listing = [{"idx": 0, "name": "0", "path": "", "type": f"{THEIR_MODULES}Transformer"}]
    for index, (kind, config) in enumerate(modules, 1):
        path = f"{index}_{kind}"
        (folder / path).mkdir()
        write_json(folder / path / CONFIG, config)
        listing.append({"idx": index, "name": str(index), "path": path, "type": THEIR_MODULES + kind})
    write_json(folder / MODULES, listing)
    write_json(folder / LENGTH_FILES[0], {"max_seq_length": encoding.max_length, "do_lower_case": False})
    write_vector_settings(folder, vectors)
    return [folder / f"{index}_{kind}" for index, (kind, _) in enumerate(modules, 1) if kind in LAYERS]
