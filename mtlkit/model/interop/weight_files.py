"""Finds the weight files of a Hugging Face folder and lists their tensors by name and dtype, without importing torch."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from mtlkit.config.small_files import Unreadable, check_file
from mtlkit.errors import IntegrityError
from mtlkit.model.interop.json_files import inside, read_object
from mtlkit.runs.record import WEIGHTS, diagnose

INDEX = "model.safetensors.index.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack")


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers would load: model.safetensors, else the shards of an index.

    Raises IntegrityError if a file is missing, unreadable or outside the folder.
    """
    names = [WEIGHTS]
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        shards = read_object(folder / INDEX).get("weight_map")
        if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
            raise IntegrityError(f"{folder / INDEX}: damaged (no weight_map of names)")
        names = sorted(set(shards.values()))
    paths = [inside(folder, name, INDEX) for name in names]
    for path in paths:
        try:
            check_file(path)
        except Unreadable as error:
            pickled = sorted(file.name for kind in PICKLES for file in folder.glob(kind))
            reason = (
                f"; {pickled[0]} cannot be used instead: mtlkit does not open pickle files, which can run any code"
                if pickled
                else ""
            )
            missing = not (path.exists() or path.is_symlink())
            way = "download or convert it to safetensors" if missing else "make it a file that you may read"
            raise IntegrityError(f"{path}: {error}{reason}; {way}") from None
    return paths


def stored_types(folder: Path) -> dict[str, str]:
    """Dtypes such as F32 of all tensors of a folder, by name, read from the file headers only.

    Raises IntegrityError.
    """
    types: dict[str, str] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, "numpy") as file:
                types |= {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        except (OSError, SafetensorError) as error:
            raise IntegrityError(f"{path}: {diagnose(path) or f'not safetensors that can be read ({error})'}") from None
    return types
