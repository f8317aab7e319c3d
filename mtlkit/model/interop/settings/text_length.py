"""The maximum text length and the truncation of a Hugging Face folder, determined as sentence-transformers does."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Truncation
from mtlkit.config.from_json import parse_object
from mtlkit.config.small_files import Unreadable, read_file
from mtlkit.errors import IntegrityError, listed
from mtlkit.model.interop.json_files import read_optional
from mtlkit.model.interop.settings.checks import check_keys
from mtlkit.model.interop.settings.known import LENGTH_FILES, PROCESSOR_KEYS

UNLIMITED = 1_000_000  # tokenizers without a limit use a number far above this
LARGEST = 2**28  # maximum bytes of a tokenizer.json
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
SENTENCE_PIECE = ("spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model")  # read where there is no TOKENIZER
KEYWORDS = ("processor_kwargs", "tokenizer_args")  # keys of that file which override settings of the tokenizer
Candidate = tuple[Path, str, Any]  # a file, a key, its value
SIDES: dict[str, Truncation] = {"right": "head", "left": "tail"}


def length_settings(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The first non-empty file of a transformer's folder that sets the maximum length, and its content."""
    for name in LENGTH_FILES:
        if settings := read_optional(folder / name):
            return folder / name, settings
    return folder / LENGTH_FILES[0], {}


def longest_text(folder: Path, *, bare: bool = False) -> int | None:
    """The maximum length in tokens; None if only the model's positions limit it. `bare`: there is no modules.json, and only the
    tokenizer sets the length. Raises IntegrityError.
    """
    candidates = [] if bare else _declared(folder)
    config = read_optional(folder / TOKENIZER_CONFIG)
    key = "model_max_length" if "model_max_length" in config else "max_len"
    return _first_number([*candidates, (folder / TOKENIZER_CONFIG, key, config.get(key))])


def declared_length(folder: Path) -> int | None:
    """The maximum length in the files of sentence-transformers alone, which no number of positions in config.json limits there.

    Raises IntegrityError.
    """
    return _first_number(_declared(folder))


def _declared(folder: Path) -> list[Candidate]:
    """The maximum lengths in the files of sentence-transformers, by precedence. Raises IntegrityError."""
    path, settings = length_settings(folder)
    candidates: list[Candidate] = []
    for name in KEYWORDS:
        arguments = settings.get(name) or {}
        if not isinstance(arguments, dict):
            raise IntegrityError(f"{path}: damaged ({name} is not an object)")
        if unknown := check_keys(path, arguments, PROCESSOR_KEYS, f"{name}."):
            raise IntegrityError(f"{path}: {listed(unknown)} is not supported; remove it, or set it in {TOKENIZER_CONFIG}")
        candidates.append((path, f"{name}.model_max_length", arguments.get("model_max_length")))
    return [*candidates, (path, "max_seq_length", settings.get("max_seq_length"))]


def _first_number(candidates: Iterable[Candidate]) -> int | None:
    """The first that is set; None if it is unlimited. Raises IntegrityError."""
    for file, key, value in candidates:
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise IntegrityError(f"{file}: damaged ({key} is not a number)")
        return max(0, int(value)) if value < UNLIMITED else None
    return None


def truncation_of(folder: Path) -> Truncation:
    """Which end of a long text is kept: the tokenizer configuration's setting, else the one in tokenizer.json.

    Raises IntegrityError.
    """
    side = read_optional(folder / TOKENIZER_CONFIG).get("truncation_side") or _stored_side(folder, "truncation") or "right"
    if not isinstance(side, str) or side not in SIDES:
        raise IntegrityError(
            f"{folder / TOKENIZER_CONFIG}: truncation_side {side!r} is not supported; supported: {listed(SIDES)}"
        )
    return SIDES[side]


def stored_padding(folder: Path) -> str | None:
    """The padding side in tokenizer.json, "left" or "right", unless another file overrides it."""
    if read_optional(folder / TOKENIZER_CONFIG).get("padding_side") is not None:
        return None
    return _stored_side(folder, "padding")


def _stored_side(folder: Path, key: str) -> str | None:
    """The truncation or padding side in tokenizer.json; None if not set."""
    path = folder / TOKENIZER
    try:
        about = path.stat()
        return dict(_stored_sides(path, about.st_size, about.st_mtime_ns)).get(key)
    except (OSError, Unreadable, ValueError):  # reported when the tokenizer is loaded
        return None


@lru_cache(maxsize=8)
def _stored_sides(path: Path, _size: int, _changed: int) -> tuple[tuple[str, str], ...]:
    """The sides by key. A large file is parsed once, and only if it may contain "Left"."""
    content = read_file(path, LARGEST)
    values = parse_object(content) if b'"Left"' in content else {}
    stored = {key: values.get(key) for key in ("truncation", "padding")}
    return tuple((key, str(value.get("direction", "")).lower()) for key, value in stored.items() if isinstance(value, dict))
