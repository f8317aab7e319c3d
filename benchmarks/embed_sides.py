"""The sides of `embed.py`, each in its own process."""

from __future__ import annotations

import platform
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from compare import Measure, Stopwatch
from numpy.typing import NDArray
from workers import serve

from mtlkit.data.datasets.corpus import read_texts
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.rows import BadRow, SkippedRows

Embed = Callable[[list[str]], NDArray[np.float32]]
CALIBRATION = 300  # texts, other than those that are measured where there are enough
WARM_UP = 64  # texts


def texts_of(options: Namespace) -> tuple[list[str], list[str]]:
    """What is measured, and what int8 is calibrated on."""
    texts = [text for source in options.data for text in read_texts(source, ReadOptions("utf-8", "error", SkippedRows()))]
    others = texts[options.limit : options.limit + CALIBRATION]
    return texts[: options.limit], others if len(others) >= CALIBRATION // 2 else texts[:CALIBRATION]


def ours(options: Namespace) -> Embed:
    import mtlkit

    model = mtlkit.load(options.model, device="cpu", precision=options.precision)
    return model.embed


def mini(options: Namespace) -> Embed:
    """The model inside the package: other weights, so only its speed can be compared."""
    import mtlkit

    return mtlkit.load("mini", device="cpu", precision=options.precision).embed


def st(options: Namespace) -> Embed:
    """On torch. Always fp32, for it is the reference."""
    return encoder(options)


def st_onnx(options: Namespace) -> Embed:
    """fp32, or int8 whose activations are scaled as they come."""
    import onnxruntime
    from sentence_transformers import export_dynamic_quantized_onnx_model

    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = options.threads
    settings: dict[str, Any] = {"provider": "CPUExecutionProvider", "session_options": session}
    if options.precision != "int8":
        return encoder(options, "onnx", export=True, **settings)
    exported = load(options, "onnx", export=True, **settings)
    target = "arm64" if platform.machine() in ("arm64", "aarch64") else "avx512_vnni"
    export_dynamic_quantized_onnx_model(exported, target, options.model, file_suffix="int8")
    return encoder(options, "onnx", file_name="model_int8.onnx", **settings)


def st_openvino(options: Namespace) -> Embed:
    """fp32, bf16, or int8 calibrated on texts of the same sources (post-training static quantisation by NNCF).

    Without a hint OpenVINO takes bf16 where the processor has it, whatever the weights are.
    """
    from sentence_transformers import export_static_quantized_openvino_model

    settings = {"INFERENCE_NUM_THREADS": options.threads, "NUM_STREAMS": 1}
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    if options.precision == "fp32":
        return encoder(options, "openvino", export=True, ov_config=settings | exact)
    if options.precision == "bf16":
        return encoder(options, "openvino", export=True, ov_config=settings | {"INFERENCE_PRECISION_HINT": "bf16"})
    exported = load(options, "openvino", export=True, ov_config=settings | exact)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table({"text": texts_of(options)[1]}), Path(folder, "train.parquet"))
        export_static_quantized_openvino_model(
            exported, None, options.model, file_suffix="int8",
            dataset_name=folder, dataset_config_name="default", dataset_split="train", column_name="text",
        )  # fmt: skip
    return encoder(options, "openvino", file_name="openvino_model_int8.xml", ov_config=settings)


def load(options: Namespace, backend: str = "torch", **settings: Any) -> Any:
    """A SentenceTransformer of the folder."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(options.model, device="cpu", backend=backend, model_kwargs=settings, local_files_only=True)
    if model.max_seq_length != options.max_length:
        raise SystemExit(f"sentence-transformers cuts texts at {model.max_seq_length} tokens, not {options.max_length}")
    return model


def encoder(options: Namespace, backend: str = "torch", **settings: Any) -> Embed:
    """`encode` as it is used: sorts the texts by length, pads each batch to its longest."""
    model = load(options, backend, **settings)
    return lambda texts: model.encode(texts, batch_size=options.batch, show_progress_bar=False)


def pairs_of(path: str) -> tuple[list[str], NDArray[np.float64]]:
    """All first sentences, then all second ones; and the scores."""
    rows = [row for row in read(Path(path)) if not isinstance(row, BadRow)]
    sentences = [str(row[column]) for column in ("sentence1", "sentence2") for row in rows]
    return sentences, np.array([float(row["score"]) for row in rows])


def prepared(name: str, start: Callable[[Namespace], Embed]) -> Callable[[Namespace], Callable[[], Measure]]:
    """Loads a side, writes its vectors for the parent to compare, and returns what measures it."""

    def prepare(options: Namespace) -> Callable[[], Measure]:
        torch.set_num_threads(options.threads)
        texts, _ = texts_of(options)
        embed = start(options)
        embed(texts[:WARM_UP])
        folder = Path(options.folder)
        np.save(folder / f"{name}.npy", embed(texts))
        if options.sts:
            sentences, scores = pairs_of(options.sts)
            np.save(folder / f"{name}.pairs.npy", embed(sentences))
            np.save(folder / "scores.npy", scores)

        def measure() -> Measure:
            watch = Stopwatch()
            embed(texts)
            return watch.rate(len(texts))

        return measure

    return prepare


if __name__ == "__main__":
    sides = {"mtlkit": ours, "mini": mini, "st": st, "st-onnx": st_onnx, "st-openvino": st_openvino}
    serve({name: prepared(name, start) for name, start in sides.items()})
