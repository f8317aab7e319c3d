"""Opens a model for an evaluation: outputs of its heads are kept in the user's cache, and the weights of a run are loaded only if
they are needed."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from mtlkit.config.common import Device
from mtlkit.config.inference import Backend, InferencePrecision
from mtlkit.config.registries.adapters import SHARED
from mtlkit.inference.backends import OpenedModel, has_torch, onnx_folder, open_backend, resolved_backend
from mtlkit.inference.engines.stored import StoredOutputs
from mtlkit.inference.load_model import assembled
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.model.description import is_foreign, read_checkpoint
from mtlkit.model.digest import digest_of
from mtlkit.runs.record import is_export, verify


def load_cached(
    path: Path,
    *,
    device: Device = "auto",
    precision: InferencePrecision = "auto",
    backend: Backend = "torch",
    prompt: str | None = None,
    literal_special_tokens: bool | None = None,
) -> LoadedModel:
    """Like `load` of a folder, for its heads; a model without heads is loaded as ever. The files of a run are checked against
    their digests, loaded or not. Raises UsageError, IntegrityError."""
    chosen = resolved_backend(path, device, precision, backend)
    exported = onnx_folder(path) if chosen == "onnx" else None
    digests = [digest_of(folder) for folder in (path, exported) if folder]  # before it is read, as another model may follow
    if chosen == "torch" and has_torch() and _has_own_heads(path):
        machine, number_format = _computing(device, precision)
        about = [*digests, "torch", version("torch"), version("mtlkit"), machine, number_format]
        opened = _described(
            path, StoredOutputs(lambda: open_backend(path, device, precision, "torch").engine, number_format, about)
        )
    else:
        ready = open_backend(path, device, precision, chosen)
        library, machine = ("onnxruntime", "cpu") if chosen == "onnx" else ("torch", _computing(device, precision)[0])
        about = [*digests, chosen, version(library), version("mtlkit"), machine, ready.engine.precision]
        stored = StoredOutputs(lambda: ready.engine, ready.engine.precision, about)
        opened = replace(ready, engine=stored) if ready.checkpoint.tasks else ready
    return assembled(path, opened, prompt, literal_special_tokens)


def reused_tasks(*models: LoadedModel | None) -> list[str]:
    """The tasks whose predictions all came from the cache."""
    engines = [model.engine for model in models if model is not None and isinstance(model.engine, StoredOutputs)]
    computed = set[str]().union(*(engine.computed for engine in engines))
    return sorted(set[str]().union(*(engine.reused for engine in engines)) - computed)


def _has_own_heads(path: Path) -> bool:
    """Whether a folder is a run with heads and weights. Raises IntegrityError."""
    return not is_export(path) and not is_foreign(path) and bool(read_checkpoint(path).tasks)


def _computing(device: Device, precision: InferencePrecision) -> tuple[str, str]:
    """The type of the device that torch computes on, and the precision there. Raises UsageError."""
    from mtlkit.inference.compute import choose_compute

    compute = choose_compute(device, "fp32" if precision == "int8" else precision)
    return compute.device.type, "int8" if precision == "int8" else compute.precision


def _described(path: Path, engine: StoredOutputs) -> OpenedModel:
    """A run as `open_backend` describes it, without its weights. Raises IntegrityError."""
    from mtlkit.inference.load_weights import read_encoder

    record, checkpoint = verify(path), read_checkpoint(path)
    merged = checkpoint.merged() if SHARED in checkpoint.adapters else checkpoint
    return OpenedModel(merged, record, read_encoder(path), engine)
