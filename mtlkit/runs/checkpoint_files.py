"""The files of one saved state: written, described in a manifest, and checked against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlkit.config.from_json import parse_object
from mtlkit.config.small_files import read_file
from mtlkit.errors import IntegrityError
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import MANIFEST, PLAIN, TENSORS, file_digest, write_json

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
PLAIN_LIMIT = 2**30  # bytes; it grows with the number of tasks and batches


def write_files(folder: Path, step: int, tensors: Mapping[str, Tensor], plain: Mapping[str, Any], log: Path) -> None:
    """Writes a state into an empty folder, the manifest last, and syncs it all with the log so far. Raises OSError."""
    write_tensors(folder / TENSORS, tensors)
    disk.write(folder / PLAIN, json.dumps(plain).encode())
    if log.exists():
        disk.sync(log)
    write_json(folder / MANIFEST, _signed(step, [folder / TENSORS, folder / PLAIN], log))
    disk.settle(folder)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors of any kind, those that share memory too. Raises OSError."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    copies: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        copy = tensor.detach().cpu().contiguous()
        if (memory := copy.untyped_storage().data_ptr()) in seen:
            copy = copy.clone()
        seen.add(memory)
        copies[name] = copy
    try:
        save_file(copies, path)
    except SafetensorError as error:
        raise OSError(str(error)) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Raises IntegrityError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise IntegrityError(f"{path}: not safetensors ({error})") from None


def step_of(place: Path) -> int:
    return int(place.name.removeprefix("step-"))


def _signed(step: int, files: list[Path], log: Path) -> dict[str, Any]:
    """A manifest: size and digest of each file and of the log so far, and a digest of all that."""
    size = log.stat().st_size if log.exists() else 0
    value = {
        "format": FORMAT,
        "step": step,
        "files": {path.name: {"size": path.stat().st_size, "sha256": file_digest(path)} for path in files},
        "log": {"size": size, "sha256": file_digest(log, size) if log.exists() else sha256().hexdigest()},
    }
    return {**value, "sha256": _digest(value)}


def _digest(value: Mapping[str, Any]) -> str:
    return sha256(json.dumps({key: value[key] for key in value if key != "sha256"}, sort_keys=True).encode()).hexdigest()


def read_manifest(place: Path) -> dict[str, Any]:
    """What a manifest holds. Raises ValueError that says what is wrong with it."""
    try:
        value = parse_object(read_file(place / MANIFEST))
        found, wanted = _digest(value), value["sha256"]
    except OSError as error:
        raise ValueError(error.strerror) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"damaged ({error})") from None
    if found != wanted:
        raise ValueError(f"SHA-256 of its values is {found}, it says {wanted}")
    if value["format"] > FORMAT:
        raise IntegrityError(f"{place}: written by a newer mtlkit (format {value['format']}); update mtlkit")
    return dict(value)


def read_plain(place: Path) -> dict[str, Any]:
    """Raises IntegrityError."""
    try:
        return parse_object(read_file(place / PLAIN, PLAIN_LIMIT))
    except ValueError as error:
        raise IntegrityError(f"{place / PLAIN}: damaged ({error})") from None


def fault_of(place: Path, log: Path, unread: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a saved state, in words; of the files in `unread` only the size is looked at."""
    try:
        manifest = read_manifest(place)
    except ValueError as error:
        return f"{place / MANIFEST}: {error}"
    if manifest["step"] != step_of(place):
        return f"{place}: holds the state of step {manifest['step']}"
    wanted = {place / name: about for name, about in manifest["files"].items()}
    for path, about in [*wanted.items(), (log, manifest["log"])]:
        try:
            size = path.stat().st_size if path.exists() or about["size"] else 0
            size = min(size, about["size"]) if path == log else size  # it has grown since
            same = size == about["size"]
            if same and (not size or path.name in unread):
                continue
            found = file_digest(path, size)
        except OSError as error:
            return f"{path}: {error.strerror}"
        if not same or found != about["sha256"]:
            says = f"{MANIFEST} of {place.name} says {about['size']} bytes with {about['sha256']}"
            return f"{path}: {size} bytes with SHA-256 {found}, {says}; damaged"
    return None
