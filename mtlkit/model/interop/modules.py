"""What sentence-transformers puts around a transformer, and the JSON files of a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Architecture, Encoding, Pooling, Truncation
from mtlkit.config.plain import parse_json
from mtlkit.config.small_files import Unreadable, read_file
from mtlkit.errors import IntegrityError, listed
from mtlkit.model.description import CONFIG
from mtlkit.runs import diagnose, write_json

MODULES, TOKENIZER_CONFIG = "modules.json", "tokenizer_config.json"
POOLINGS: dict[str, Pooling] = {"mean": "mean", "mean_tokens": "mean", "cls": "first", "cls_token": "first"}
THEIR_MODULES = "sentence_transformers.models."  # where all versions find their modules
LONGEST_NAME = 200  # of what a file may call another: beyond any that is, and short enough for every file system
UNLIMITED = 1_000_000  # a tokenizer without a limit says so with a number far above this


@dataclass(frozen=True)
class Modules:
    """What sentence-transformers puts around a transformer: where it lies, pooling, scaling, the longest text, and the folder
    of the weights that a weighted mean has."""

    folder: Path
    pooling: Pooling = "mean"
    normalize: bool = False
    max_length: int | None = None
    truncate: Truncation = "head"
    word_weights: Path | None = None


def read_modules(folder: Path) -> Modules:
    """What modules.json says; a bare transformer is pooled by its mean. Raises IntegrityError for a module that we lack."""
    if not (folder / MODULES).is_file():
        return Modules(folder, max_length=_longest(folder), truncate=_truncation(folder))
    inside, pooling, normalize, word_weights = folder, POOLINGS["mean"], False, None
    for kind, path in _listed(folder):
        if kind == "Transformer":
            inside = path
        elif kind == "WordWeights":
            word_weights = path
        elif kind == "Pooling":
            pooling = _pooling(path / CONFIG, word_weights)
        elif kind == "Normalize":
            normalize = True
        else:
            raise IntegrityError(
                f"{folder / MODULES}: module '{kind}' is not supported; supported: Transformer, WordWeights, Pooling, Normalize"
            )
    return Modules(inside, pooling, normalize, _longest(inside), _truncation(inside), word_weights)


def _listed(folder: Path) -> list[tuple[str, Path]]:
    """Kind and place of each module in modules.json."""
    modules, found = read_json(folder / MODULES), []
    for module in modules if isinstance(modules, list) else [modules]:
        kind, place = (module.get("type"), module.get("path", "")) if isinstance(module, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(place, str):
            raise IntegrityError(f"{folder / MODULES}: damaged (no list of modules with a type and a path)")
        found.append((kind.rpartition(".")[2], inside(folder, place, MODULES)))
    return found


def module_folders(folder: Path) -> list[Path]:
    """The folders that modules.json names; none where there is no such file. Raises IntegrityError."""
    return [place for _, place in _listed(folder)] if (folder / MODULES).is_file() else []


def inside(folder: Path, name: str, listing: str) -> Path:
    """A place that a file of a folder names. Raises IntegrityError for one outside of it."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name or len(name) > LONGEST_NAME:
        raise IntegrityError(f"{folder / listing}: names {name!r}, which is no place inside the folder")
    return folder / name


def _pooling(path: Path, word_weights: Path | None) -> Pooling:
    config = read_object(path)
    named = config.get("pooling_mode")  # since sentence-transformers 5; flags before
    modes = [named] if isinstance(named, str) else named
    if modes is None:
        modes = [key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_mode_") and on]
    if not isinstance(modes, list) or len(modes) != 1 or not isinstance(modes[0], str) or modes[0] not in POOLINGS:
        found = listed(map(str, modes)) if isinstance(modes, list) else modes
        raise IntegrityError(f"{path}: pooling {found} is not supported; supported: mean, cls")
    pooling = POOLINGS[modes[0]]
    if word_weights is not None and pooling != "mean":
        raise IntegrityError(f"{path}: pooling {modes[0]} after WordWeights is not supported; supported: mean")
    return pooling if word_weights is None else "weighted"


def write_modules(folder: Path, architecture: Architecture, encoding: Encoding, weighting: Mapping[str, Any]) -> None:
    """The opposite of `read_modules`; `weighting` holds what stands between transformer and pooling, by kind."""
    first = architecture.pooling == "first"
    pooling = {
        "word_embedding_dimension": architecture.dim,
        "pooling_mode_cls_token": first,
        "pooling_mode_mean_tokens": not first,
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    modules = {**weighting, "Pooling": pooling, **({"Normalize": {}} if architecture.normalize else {})}
    paths = {"Transformer": "", **{kind: f"{place}_{kind}" for place, kind in enumerate(modules, 1)}}
    for kind, config in modules.items():
        (folder / paths[kind]).mkdir()
        write_json(folder / paths[kind] / CONFIG, config)
    listing = [
        {"idx": place, "name": str(place), "path": path, "type": THEIR_MODULES + kind}
        for place, (kind, path) in enumerate(paths.items())
    ]
    write_json(folder / MODULES, listing)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": encoding.max_length, "do_lower_case": False})
    similarity: dict[str, Any] = {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    write_json(folder / "config_sentence_transformers.json", similarity)


def _longest(folder: Path) -> int | None:
    """The longest text in tokens, as sentence-transformers or the tokenizer have it."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), (TOKENIZER_CONFIG, "model_max_length")):
        value = read_object(folder / name).get(key) if (folder / name).is_file() else None
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value != value):
            raise IntegrityError(f"{folder / name}: damaged ({key} is no number)")
        if value is not None and value < UNLIMITED:
            return max(0, int(value))
    return None


def _truncation(folder: Path) -> Truncation:
    """Which end of a long text stays."""
    path = folder / TOKENIZER_CONFIG
    return "tail" if path.is_file() and read_object(path).get("truncation_side") == "left" else "head"


def read_json(path: Path) -> Any:
    try:
        return parse_json(read_file(path))
    except Unreadable as error:
        raise IntegrityError(f"{path}: {error}; it is needed to load the model") from None
    except ValueError as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None


def read_object(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object. Raises IntegrityError."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise IntegrityError(f"{path}: damaged ({type(value).__name__} where an object belongs)")
    return value
