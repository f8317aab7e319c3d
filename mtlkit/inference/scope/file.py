"""The file of a run with the scopes of its heads, `scope.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mtlkit.config.small_files import check_file
from mtlkit.errors import IntegrityError
from mtlkit.inference.scope.scope import LEVELS, Scope
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import diagnose, file_digest, read_record, record_name

SCOPE = "scope.safetensors"
ROWS = "rows"  # metadata: number of rows by task
DTYPES = {"prototypes": np.float16, "classes": np.int32}  # of arrays that are not float32
ARRAYS = tuple(item.name for item in fields(Scope) if item.name != ROWS)


def write_scopes(folder: Path, scopes: Mapping[str, Scope]) -> None:
    """Writes the file; none without scopes. Raises OSError."""
    if scopes:
        arrays = {f"{task}.{name}": array for task, scope in scopes.items() for name, array in arrays_of(scope).items()}
        rows = json.dumps({task: scope.rows for task, scope in scopes.items()})
        disk.write(folder / SCOPE, save(arrays, {ROWS: rows}))


def read_scopes(folder: Path) -> dict[str, Scope]:
    """The scopes of a run's or an export's heads, by task; empty if it has none. Raises IntegrityError."""
    path = folder / SCOPE
    if not path.exists() or not (folder / record_name(folder)).is_file():
        return {}
    try:
        recorded, digest = read_record(folder, record_name(folder)).files.get(SCOPE), file_digest(path)
        if recorded is None:
            return {}
        if digest != recorded:
            raise IntegrityError(
                f"{path}: {diagnose(path) or f'damaged (SHA-256 is {digest}, recorded: {recorded}); restore it'}"
            )
        check_file(path)
        with safe_open(path, "numpy") as file:
            counts = json.loads((file.metadata() or {})[ROWS])
            return {
                task: scope_of({name: file.get_tensor(f"{task}.{name}") for name in ARRAYS}, int(rows))
                for task, rows in counts.items()
            }
    except OSError as error:
        raise IntegrityError(f"{path}: {error.strerror or error}") from None
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(f"{path}: {diagnose(path) or f'damaged ({error})'}") from None


def arrays_of(scope: Scope) -> dict[str, NDArray[Any]]:
    """The arrays of a scope, by field."""
    return {name: getattr(scope, name) for name in ARRAYS}


def scope_of(arrays: Mapping[str, NDArray[Any]], rows: int) -> Scope:
    """The inverse of `arrays_of`. Raises ValueError for arrays that do not fit together, KeyError if one is missing."""
    prototypes, scores, usual = arrays["prototypes"], arrays["scores"], arrays["usual"]
    shapes = prototypes.ndim == 2 and len(prototypes) and scores.ndim == 1 and 0 < len(scores) <= LEVELS and usual.ndim == 1
    if not shapes or any(arrays[name].shape != (3,) for name in ("means", "spreads")):
        raise ValueError("arrays of unexpected shape")
    for name, array in arrays.items():
        if array.dtype != DTYPES.get(name, np.float32) or not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite numbers of the expected type")
    classes = arrays["classes"]
    if classes.shape != prototypes.shape[:1] or classes.min() < 0 or classes.max() >= len(usual):
        raise ValueError("classes of prototypes out of range")
    if not (arrays["spreads"] > 0).all():
        raise ValueError("spreads are not positive")
    return Scope(**{name: arrays[name] for name in ARRAYS}, rows=rows)
