"""The engine that runs an exported ONNX graph with onnxruntime. Imports no torch, so that a first vector comes at once."""

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
from mtlkit.inference.engine import BATCH_TOKENS, ROUTER, Array

VECTOR, HEAD, TELLS = "vector", "head:{}", "router"  # outputs of a graph: the vector, a head's of each task, the router's
SKIP = "prompt_tokens"  # the input of a graph that leaves a prompt out of the pooling: how many tokens that has


def output_name(task: str) -> str:
    """What a graph calls the output of a task's head, or the router's."""
    return TELLS if task == ROUTER else HEAD.format(task)


class OnnxEngine:
    """A graph of (N, L) token ids and mask to the vector and the output of every head."""

    precision = "fp32"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        import onnxruntime

        self.process = os.getpid()
        try:
            self.session: Any = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's own errors share no class of their own
            raise IntegrityError(f"{self.path}: not a readable ONNX graph ({str(error).splitlines()[0]})") from None

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None) -> Array:
        return check_finite(self._run(encoded, [VECTOR], batch_tokens or BATCH_TOKENS)[VECTOR], engine.VECTOR)

    def outputs(self, encoded: Encoded, tasks: Sequence[str]) -> dict[str, Array]:
        found = self._run(encoded, [output_name(task) for task in tasks], BATCH_TOKENS)
        return {task: check_finite(values, engine.output_of(task)) for task, values in zip(tasks, found.values(), strict=True)}

    def _run(self, encoded: Encoded, names: Sequence[str], batch_tokens: int) -> dict[str, Array]:
        if self.process != os.getpid():  # the threads of a session do not come along with a fork
            self._open()
        widths: dict[str, Any] = {
            output.name: output.shape[-1] if output.shape else None for output in self.session.get_outputs()
        }
        for name in names:
            if not isinstance(widths.get(name), int):
                raise IntegrityError(f"{self.path}: has no output '{name}' of a known width, which its config.json speaks of")
        skip = {SKIP: np.array(encoded.skip, np.int64)} if any(one.name == SKIP for one in self.session.get_inputs()) else {}
        if encoded.skip and not skip:
            raise IntegrityError(f"{self.path}: has no input '{SKIP}', which its config.json needs (include_prompt is false)")
        found = {name: np.empty((len(encoded), widths[name]), np.float32) for name in names}
        for rows in sorted_batches(encoded.lengths, batch_tokens):
            ids, mask = encoded.padded(rows)
            try:
                parts = self.session.run(list(names), {"input_ids": ids, "attention_mask": mask, **skip})
            except Exception as error:  # as above
                raise IntegrityError(f"{self.path}: cannot be run ({str(error).splitlines()[0]})") from None
            for name, part in zip(names, parts, strict=True):
                if part.shape != (len(rows), widths[name]):
                    raise IntegrityError(f"{self.path}: output '{name}' has the shape {part.shape} for {len(rows)} texts")
                found[name][rows] = part
        return found
