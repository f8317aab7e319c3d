"""Chooses the engine that runs a model: torch, or an exported ONNX graph. One function per backend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mtlkit.config.common import Device
from mtlkit.config.inference import Backend, InferencePrecision
from mtlkit.data.tokenization.tokenizer import TextEncoder, open_encoder
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.engines.base import Engine
from mtlkit.model.description import ModelDescription, read_checkpoint
from mtlkit.model.digest import digest_of, is_digest_of
from mtlkit.runs.record import GRAPH, PAIR_GRAPH, TOKENIZER, RunRecord, is_export, read_record, verify

if TYPE_CHECKING:  # these import torch, which an ONNX graph does not need
    from mtlkit.inference.engines.fast import FastEncoder
    from mtlkit.inference.load_weights import LoadedWeights


@dataclass(frozen=True)
class OpenedModel:
    """A model that is ready to run.

    `record` is None for models that mtlkit did not train. `note` names what in a Hugging Face folder is unknown or ignored.
    """

    checkpoint: ModelDescription
    record: RunRecord | None
    encoder: TextEncoder
    engine: Engine
    note: str = ""


def open_backend(
    path: Path, device: Device, precision: InferencePrecision, backend: Backend, *, classifier: bool = True
) -> OpenedModel:
    """Opens the model in a folder; with `classifier`, a sequence classifier or a CrossEncoder with its head.

    `auto` uses the folder's ONNX export if there is one, because it starts faster, and torch otherwise. Raises UsageError,
    IntegrityError.
    """
    backend = resolved_backend(path, device, precision, backend)
    if backend == "torch":
        if not has_torch() and not is_export(path):
            raise UsageError(
                f"{path} needs torch, which is not installed; without it, only ONNX exports run: make one with 'mtlkit export "
                f"{path} --format onnx' where torch is"
            )
        return _open_torch(path, device, precision, classifier)
    if device not in ("auto", "cpu"):
        raise UsageError(f"--backend {backend} runs on the CPU only; remove --device {device} or use --backend torch")
    return EXPORTED[backend](path, precision)


def resolved_backend(path: Path, device: Device, precision: InferencePrecision, backend: Backend) -> Literal["torch", "onnx"]:
    """The backend that opens a folder."""
    if backend != "auto":
        return backend
    onnx_can = device in ("auto", "cpu") and precision in ("auto", "fp32") and find_spec("onnxruntime") is not None
    return "onnx" if is_export(path) or (onnx_can and onnx_folder(path) is not None) else "torch"


def has_torch() -> bool:
    """Whether torch is installed: an environment that only runs ONNX exports does without."""
    return find_spec("torch") is not None


def onnx_folder(path: Path) -> Path | None:
    """The folder with the ONNX graph of a model: `path` itself, or `onnx/` in it if it has the same weights; otherwise None."""
    if is_export(path):
        return path
    folder = path / "onnx"
    if not is_export(folder):
        return None
    parent = read_record(folder).parent or {}
    return folder if is_digest_of(path, parent.get("digest", "")) else None


def _open_torch(path: Path, device: Device, precision: InferencePrecision, classifier: bool) -> OpenedModel:
    from mtlkit.inference.compute import choose_compute
    from mtlkit.inference.engines.torch_engine import TorchEngine
    from mtlkit.inference.load_weights import load_weights

    weights = load_weights(path, classifier=classifier)
    if precision == "int8":
        return OpenedModel(weights.checkpoint, weights.record, weights.encoder, _int8_engine(path, device, weights), weights.note)
    engine = TorchEngine(weights.model, choose_compute(device, precision))
    return OpenedModel(weights.checkpoint, weights.record, weights.encoder, engine, weights.note)


def _int8_engine(path: Path, device: Device, weights: LoadedWeights) -> Engine:
    from mtlkit.inference.compute import choose_compute
    from mtlkit.inference.engines.calibration import activation_ranges
    from mtlkit.inference.engines.int8 import check_int8, quantise
    from mtlkit.inference.engines.task_encoders import TaskEncoders
    from mtlkit.inference.engines.torch_engine import TorchEngine
    from mtlkit.model.encoder import own_encoder

    if device not in ("auto", "cpu"):
        raise UsageError("--precision int8 runs on CPUs only; use --precision fp32, or bf16 on a GPU")
    model, digest = weights.model, digest_of(path)
    check_int8(model.backbone.architecture)

    def quantised(task: str | None) -> FastEncoder:
        encoder = own_encoder(model.merged_encoder(task))
        return quantise(encoder, activation_ranges(encoder, weights.encoder, f"{digest}{f' {task}' if task else ''}"))

    encoders = TaskEncoders(quantised(None), model.adapter_specs, quantised)
    return TorchEngine(model, choose_compute("cpu", "fp32"), encoders, "int8")


def _open_onnx(path: Path, precision: InferencePrecision) -> OpenedModel:
    if precision not in ("auto", "fp32"):
        raise UsageError(f"--backend onnx computes in fp32 only; use --backend torch for --precision {precision}")
    folder = onnx_folder(path)
    if folder is None:
        raise UsageError(
            f"{path} has no ONNX export of its current weights; create one with 'mtlkit export {path} --format onnx'"
        )
    if not find_spec("onnxruntime"):
        raise UsageError("--backend onnx needs onnxruntime; install it with: pip install 'mtlkit[onnx]'")
    from mtlkit.inference.engines.onnx_engine import OnnxEngine
    from mtlkit.inference.engines.onnx_weights import check_weights

    with ThreadPoolExecutor(2) as threads:  # digests are computed while the graph is read
        record = threads.submit(verify, folder)
        graphs = [folder / GRAPH, *filter(Path.is_file, [folder / PAIR_GRAPH])]
        checked = [threads.submit(check_weights, graph) for graph in graphs]
        try:
            checkpoint = read_checkpoint(folder)
            vocab_size = checkpoint.architecture.vocab_size
            encoder = open_encoder(folder / TOKENIZER, checkpoint.encoding, vocab_size, checkpoint.vectors)
            engine = OnnxEngine(folder / GRAPH)
        except IntegrityError:
            record.result()  # if a file is damaged, this error is more precise
            raise
        verified = record.result()
        for result in checked:
            result.result()
        return OpenedModel(checkpoint, verified, encoder, engine)


EXPORTED: dict[str, Callable[[Path, InferencePrecision], OpenedModel]] = {"onnx": _open_onnx}
