"""The engine that runs an exported ONNX graph with onnxruntime. It does not import torch, so it starts quickly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlkit.data.batching import sorted_batches
from mtlkit.data.encoded import Encoded
from mtlkit.errors import IntegrityError
from mtlkit.evaluation.metrics import check_finite
from mtlkit.inference import engine
from mtlkit.inference.engine import BATCH_TOKENS, ROUTER, VECTORS, Array
from mtlkit.progress import count

VECTOR, HEAD_OUTPUT, ROUTER_OUTPUT = "vector", "head:{}", "router"  # names of a graph's outputs
SKIP = "prompt_tokens"  # an input of graphs that exclude the prompt from pooling: its number of tokens


def output_name(task: str) -> str:
    """The name in a graph of the output of a task's head, of the router, or of the vectors."""
    if task == VECTORS:
        return VECTOR
    return ROUTER_OUTPUT if task == ROUTER else HEAD_OUTPUT.format(task)


class OnnxEngine:
    """Runs a graph that maps token ids and a mask, both (N, L), to the vectors and the outputs of every head."""

    precision = "fp32"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        import onnxruntime

        self.process = os.getpid()
        try:
            self.session: Any = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        except Exception as error:  # the errors of onnxruntime have no common base class
            raise IntegrityError(f"{self.path}: not a readable ONNX graph ({str(error).splitlines()[0]})") from None

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None) -> Array:
        return check_finite(self._run(encoded, [VECTOR], batch_tokens or BATCH_TOKENS)[VECTOR], engine.VECTOR)

    def outputs(self, encoded: Encoded, tasks: Sequence[str]) -> dict[str, Array]:
        outputs = self._run(encoded, [output_name(task) for task in tasks], BATCH_TOKENS)
        return {
            task: check_finite(values, engine.output_label(task)) for task, values in zip(tasks, outputs.values(), strict=True)
        }

    def _run(self, encoded: Encoded, names: Sequence[str], batch_tokens: int) -> dict[str, Array]:
        if self.process != os.getpid():  # the threads of a session do not survive a fork
            self._open()
        widths: dict[str, Any] = {
            output.name: output.shape[-1] if output.shape else None for output in self.session.get_outputs()
        }
        for name in names:
            if not isinstance(widths.get(name), int):
                raise IntegrityError(
                    f"{self.path}: output '{name}', which its config.json lists, is missing or has no fixed width"
                )
        skip = (
            {SKIP: np.array(encoded.skip, np.int64)} if any(tensor.name == SKIP for tensor in self.session.get_inputs()) else {}
        )
        if encoded.skip and not skip:
            raise IntegrityError(
                f"{self.path}: input '{SKIP}', which its config.json requires (include_prompt is false), is missing"
            )
        outputs = {name: np.empty((len(encoded), widths[name]), np.float32) for name in names}
        for rows in sorted_batches(encoded.lengths, batch_tokens):
            ids, mask = encoded.padded(rows)
            try:
                results = self.session.run(list(names), {"input_ids": ids, "attention_mask": mask, **skip})
            except Exception as error:  # as above
                raise IntegrityError(f"{self.path}: onnxruntime cannot run the graph ({str(error).splitlines()[0]})") from None
            for name, result in zip(names, results, strict=True):
                if result.shape != (len(rows), widths[name]):
                    raise IntegrityError(f"{self.path}: output '{name}' has shape {result.shape} for {len(rows)} texts")
                outputs[name][rows] = result
            count("encoded", len(rows))
        return outputs
