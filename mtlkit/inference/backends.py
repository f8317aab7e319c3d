"""Which engine runs a model: our own on torch, or an exported graph where one is at hand. One function a backend."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.config.common import Device
from mtlkit.config.inference import Backend, InferencePrecision
from mtlkit.data.tokenization.tokenizer import TextEncoder, open_encoder
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.engine import Engine
from mtlkit.model.description import ModelDescription, read_checkpoint
from mtlkit.model.digest import digest_of, is_digest_of
from mtlkit.runs.record import GRAPH, TOKENIZER, RunRecord, is_export, read_record, verify

if TYPE_CHECKING:  # it brings torch, which an exported graph does without
    from mtlkit.inference.load_weights import LoadedWeights


@dataclass(frozen=True)
class OpenedModel:
    """A model ready to run: what it is, how it reads texts, what its run says of itself, its engine, and what its folder holds
    that is not known to mtlkit."""

    checkpoint: ModelDescription
    record: RunRecord | None
    encoder: TextEncoder
    engine: Engine
    note: str = ""


def open_backend(path: Path, device: Device, precision: InferencePrecision, backend: Backend) -> OpenedModel:
    """Opens a folder with the backend asked for; `auto` takes an ONNX export that belongs to the folder, which starts in a
    fraction of the time, and torch otherwise. Raises UsageError, IntegrityError."""
    if backend == "auto":
        plain = device in ("auto", "cpu") and precision in ("auto", "fp32") and find_spec("onnxruntime") is not None
        backend = "onnx" if is_export(path) or (plain and exported(path) is not None) else "torch"
    if backend == "torch":
        return _open_torch(path, device, precision)
    if device not in ("auto", "cpu"):
        raise UsageError(f"--backend {backend} runs on the CPU; leave --device {device} out, or take --backend torch")
    return EXPORTED[backend](path, precision)


def exported(path: Path) -> Path | None:
    """The folder of the ONNX graph of a model: its own, or `onnx/` inside it if it was made from these very weights."""
    if is_export(path):
        return path
    inside = path / "onnx"
    if not is_export(inside):
        return None
    parent = read_record(inside).parent or {}
    return inside if is_digest_of(path, parent.get("digest", "")) else None


def _open_torch(path: Path, device: Device, precision: InferencePrecision) -> OpenedModel:
    from mtlkit.inference.compute import choose_compute
    from mtlkit.inference.load_weights import load_weights
    from mtlkit.inference.torch_engine import TorchEngine

    weights = load_weights(path)
    if precision == "int8":
        return OpenedModel(weights.checkpoint, weights.record, weights.encoder, _int8_engine(path, device, weights), weights.note)
    engine = TorchEngine(weights.model, choose_compute(device, precision))
    return OpenedModel(weights.checkpoint, weights.record, weights.encoder, engine, weights.note)


def _int8_engine(path: Path, device: Device, weights: LoadedWeights) -> Engine:
    from mtlkit.inference.calibration import ranges_of
    from mtlkit.inference.compute import choose_compute
    from mtlkit.inference.int8 import check_int8, quantise
    from mtlkit.inference.torch_engine import TorchEngine

    if device not in ("auto", "cpu"):
        raise UsageError("--precision int8 runs on CPUs only; use --precision fp32, or bf16 on a GPU")
    backbone = weights.model.backbone
    check_int8(backbone.architecture)
    ranges = ranges_of(backbone, weights.encoder, digest_of(path))
    return TorchEngine(weights.model, choose_compute("cpu", "fp32"), quantise(backbone, ranges), "int8")


def _open_onnx(path: Path, precision: InferencePrecision) -> OpenedModel:
    if precision not in ("auto", "fp32"):
        raise UsageError(f"--backend onnx computes in fp32; take --backend torch for --precision {precision}")
    folder = exported(path)
    if folder is None:
        raise UsageError(f"{path} has no ONNX export of these weights; make one with 'mtlkit export {path} --format onnx'")
    if not find_spec("onnxruntime"):
        raise UsageError("--backend onnx needs onnxruntime; install it with: pip install 'mtlkit[onnx]'")
    from mtlkit.inference.onnx_engine import OnnxEngine
    from mtlkit.inference.onnx_weights import check_weights

    with ThreadPoolExecutor(2) as threads:  # digests are worked out while the graph is read
        record = threads.submit(verify, folder)
        checked = threads.submit(check_weights, folder / GRAPH)
        try:
            checkpoint = read_checkpoint(folder)
            vocab_size = checkpoint.architecture.vocab_size
            encoder = open_encoder(folder / TOKENIZER, checkpoint.encoding, vocab_size, checkpoint.vectors)
            engine = OnnxEngine(folder / GRAPH)
        except IntegrityError:
            record.result()  # what is damaged is said with its digests
            raise
        verified = record.result()
        checked.result()
        return OpenedModel(checkpoint, verified, encoder, engine)


EXPORTED: dict[str, Callable[[Path, InferencePrecision], OpenedModel]] = {"onnx": _open_onnx}
