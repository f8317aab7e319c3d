"""How much of a text a Hugging Face folder reads, as sentence-transformers works it out."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Truncation
from mtlkit.config.from_json import parse_object
from mtlkit.config.small_files import Unreadable, read_file
from mtlkit.errors import IntegrityError, listed
from mtlkit.model.interop.json_files import read_optional
from mtlkit.model.interop.known_settings import LENGTH_FILES, PROCESSOR_KEYS, check_keys

UNLIMITED = 1_000_000  # a tokenizer without a limit says so with a number far above this
LARGEST = 2**28  # bytes of a tokenizer.json
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
KEYWORDS = ("processor_kwargs", "tokenizer_args")  # of the file that sets the longest text: what overrides the tokenizer's own
SIDES: dict[str, Truncation] = {"right": "head", "left": "tail"}


def length_settings(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The file of a transformer's folder that sets the longest text, and what it says: the first name that holds anything."""
    for name in LENGTH_FILES:
        if found := read_optional(folder / name):
            return folder / name, found
    return folder / LENGTH_FILES[0], {}


def longest_text(folder: Path, *, bare: bool = False) -> int | None:
    """The longest text in tokens; None where nothing limits it but the model's positions. `bare`: without modules.json, where
    the tokenizer alone sets it. Raises IntegrityError."""
    path, settings = length_settings(folder) if not bare else (folder, {})
    found: list[tuple[Path, str, Any]] = []
    for name in KEYWORDS:
        arguments = settings.get(name) or {}
        if not isinstance(arguments, dict):
            raise IntegrityError(f"{path}: damaged ({name} is no object)")
        if unknown := check_keys(path, arguments, PROCESSOR_KEYS, f"{name}."):
            raise IntegrityError(f"{path}: {listed(unknown)} is not supported; leave it out, or set it in {TOKENIZER_CONFIG}")
        found.append((path, f"{name}.model_max_length", arguments.get("model_max_length")))
    found.append((path, "max_seq_length", settings.get("max_seq_length")))
    config = read_optional(folder / TOKENIZER_CONFIG)
    key = "model_max_length" if "model_max_length" in config else "max_len"
    found.append((folder / TOKENIZER_CONFIG, key, config.get(key)))
    for file, key, value in found:
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            raise IntegrityError(f"{file}: damaged ({key} is no number)")
        return max(0, int(value)) if value < UNLIMITED else None
    return None


def truncation_of(folder: Path) -> Truncation:
    """Which end of a long text stays: what the tokenizer's configuration says, else the truncation stored in tokenizer.json.
    Raises IntegrityError."""
    side = read_optional(folder / TOKENIZER_CONFIG).get("truncation_side") or _stored_side(folder, "truncation") or "right"
    if not isinstance(side, str) or side not in SIDES:
        raise IntegrityError(
            f"{folder / TOKENIZER_CONFIG}: truncation_side {side!r} is not supported; supported: {listed(SIDES)}"
        )
    return SIDES[side]


def stored_padding(folder: Path) -> str | None:
    """The side that tokenizer.json pads, "left" or "right", where nothing beside it says another one."""
    if read_optional(folder / TOKENIZER_CONFIG).get("padding_side") is not None:
        return None
    return _stored_side(folder, "padding")


def _stored_side(folder: Path, key: str) -> str | None:
    """The side that tokenizer.json itself cuts or pads, where it says that."""
    path = folder / TOKENIZER
    try:
        about = path.stat()
        return dict(_stored_sides(path, about.st_size, about.st_mtime_ns)).get(key)
    except (OSError, Unreadable, ValueError):  # told when the tokenizer is loaded
        return None


@lru_cache(maxsize=8)
def _stored_sides(path: Path, _size: int, _changed: int) -> tuple[tuple[str, str], ...]:
    """The sides by key. A large file is parsed once, and only where it might say "Left"."""
    content = read_file(path, LARGEST)
    values = parse_object(content) if b'"Left"' in content else {}
    stored = {key: values.get(key) for key in ("truncation", "padding")}
    return tuple((key, str(value.get("direction", "")).lower()) for key, value in stored.items() if isinstance(value, dict))
