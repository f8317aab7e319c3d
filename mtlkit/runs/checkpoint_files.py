"""The files of one checkpoint: tensors, plain values, and a manifest with the size and SHA-256 of each."""

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
from mtlkit.runs.record import MANIFEST, TENSORS, VALUES, file_digest, write_json

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
VALUES_LIMIT = 2**30  # bytes; the file grows with the number of tasks and batches


def write_checkpoint(folder: Path, step: int, tensors: Mapping[str, Tensor], values: Mapping[str, Any], log: Path) -> None:
    """Writes a checkpoint into an empty folder, the manifest last, and syncs it with the log so far. Raises OSError."""
    write_tensors(folder / TENSORS, tensors)
    disk.write(folder / VALUES, json.dumps(values).encode())
    if log.exists():
        disk.sync(log)
    write_json(folder / MANIFEST, _manifest(step, [folder / TENSORS, folder / VALUES], log))
    disk.sync_tree(folder)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes tensors of any layout, including those that share memory. Raises OSError."""
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
    """The tensors of a checkpoint, on the CPU. Raises IntegrityError."""
    from safetensors import SafetensorError
    from safetensors.torch import load, load_file

    try:
        # a mapped file cannot be removed on Windows, not even with the folder of a run that is replaced
        return load(path.read_bytes()) if disk.WINDOWS else load_file(path)
    except SafetensorError as error:
        raise IntegrityError(f"{path}: not a safetensors file ({error})") from None


def step_of(folder: Path) -> int:
    """The step that the name of a checkpoint's folder gives."""
    return int(folder.name.removeprefix("step-"))


def _manifest(step: int, files: list[Path], log: Path) -> dict[str, Any]:
    """The size and SHA-256 of each file and of the log so far, and a SHA-256 of the manifest's own values."""
    size = log.stat().st_size if log.exists() else 0
    manifest = {
        "format": FORMAT,
        "step": step,
        "files": {path.name: {"size": path.stat().st_size, "sha256": file_digest(path)} for path in files},
        "log": {"size": size, "sha256": file_digest(log, size) if log.exists() else sha256().hexdigest()},
    }
    return {**manifest, "sha256": _manifest_digest(manifest)}


def _manifest_digest(manifest: Mapping[str, Any]) -> str:
    values = {key: manifest[key] for key in manifest if key != "sha256"}
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint. Raises ValueError with the reason if it is damaged, IntegrityError if it is too new."""
    try:
        manifest = parse_object(read_file(folder / MANIFEST))
        digest, recorded = _manifest_digest(manifest), manifest["sha256"]
    except OSError as error:
        raise ValueError(error.strerror) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"damaged ({error})") from None
    if digest != recorded:
        raise ValueError(f"damaged (SHA-256 of its values is {digest}, recorded: {recorded})")
    if manifest["format"] > FORMAT:
        raise IntegrityError(f"{folder}: written by a newer mtlkit (format {manifest['format']}); update mtlkit")
    return dict(manifest)


def read_values(folder: Path) -> dict[str, Any]:
    """The plain values of a checkpoint. Raises IntegrityError."""
    try:
        return parse_object(read_file(folder / VALUES, VALUES_LIMIT))
    except ValueError as error:
        raise IntegrityError(f"{folder / VALUES}: damaged ({error})") from None


def find_damage(folder: Path, log: Path, size_only: tuple[str, ...] = ()) -> str | None:
    """What is wrong with a checkpoint, as a message; None if it is intact. Of the files in `size_only`, only the size is checked.

    Raises IntegrityError if a newer version of mtlkit wrote it.
    """
    try:
        manifest = read_manifest(folder)
    except ValueError as error:
        return f"{folder / MANIFEST}: {error}"
    if manifest["step"] != step_of(folder):
        return f"{folder}: contains the checkpoint of step {manifest['step']}"
    expected_files = {folder / name: expected for name, expected in manifest["files"].items()}
    for path, expected in [*expected_files.items(), (log, manifest["log"])]:
        try:
            size = path.stat().st_size if path.exists() or expected["size"] else 0
            size = min(size, expected["size"]) if path == log else size  # the log has grown since
            same_size = size == expected["size"]
            if same_size and (not size or path.name in size_only):
                continue
            digest = file_digest(path, size)
        except OSError as error:
            return f"{path}: {error.strerror}"
        if not same_size or digest != expected["sha256"]:
            recorded = f"{MANIFEST} of {folder.name} records {expected['size']} bytes with {expected['sha256']}"
            return f"{path}: damaged; {size} bytes with SHA-256 {digest}, but {recorded}"
    return None
