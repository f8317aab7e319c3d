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
from mtlkit.inference.engine import BATCH_TOKENS, ROUTER, VECTORS, Array, Pairs
from mtlkit.progress import count
from mtlkit.runs.record import PAIR_GRAPH

VECTOR, HEAD_OUTPUT, ROUTER_OUTPUT = "vector", "head:{}", "router"  # names of a graph's outputs
PAIR_INPUTS = ("first", "second")  # of the graph of heads for pairs: the vectors of both texts
PAIRS_AT_ONCE = 8192
TYPES = "token_type_ids"  # an input of graphs with heads that read pairs of texts in one sequence
SKIP = "prompt_tokens"  # an input of graphs that exclude the prompt from pooling: its number of tokens


def output_name(task: str) -> str:
    """The name in a graph of the output of a task's head, of the router, or of the vectors."""
    if task == VECTORS:
        return VECTOR
    return ROUTER_OUTPUT if task == ROUTER else HEAD_OUTPUT.format(task)


class OnnxEngine:
    """Runs a graph that maps token ids and a mask, both (N, L), to the vectors and the outputs of every head that reads one text.
    A second one beside it, PAIR_GRAPH, maps the vectors of both texts of pairs to the outputs of the other heads."""

    precision = "fp32"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.process = os.getpid()
        self.session: Any = _session(self.path)
        pair_path = self.path.with_name(PAIR_GRAPH)
        self.pair_session: Any = _session(pair_path) if pair_path.is_file() else None

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None) -> Array:
        return check_finite(self._run(encoded, [VECTOR], batch_tokens or BATCH_TOKENS)[VECTOR], engine.VECTOR)

    def outputs(self, encoded: Encoded, tasks: Sequence[str], pairs: Pairs | None = None) -> dict[str, Array]:
        names = [output_name(task) for task in tasks]
        if pairs is None:
            outputs = self._run(encoded, names, BATCH_TOKENS)
        else:
            outputs = self._run_pairs(self.vectors(encoded), pairs, names)
        return {
            task: check_finite(values, engine.output_label(task)) for task, values in zip(tasks, outputs.values(), strict=True)
        }

    def _run_pairs(self, vectors: Array, pairs: Pairs, names: Sequence[str]) -> dict[str, Array]:
        path = self.path.with_name(PAIR_GRAPH)
        known = [] if self.pair_session is None else [output.name for output in self.pair_session.get_outputs()]
        if missing := next((name for name in names if name not in known), None):
            raise IntegrityError(f"{path}: output '{missing}', which config.json lists, is missing")
        results = []
        for start in range(0, pairs.shape[1], PAIRS_AT_ONCE):
            block = pairs[:, start : start + PAIRS_AT_ONCE]
            sides = {name: vectors[side] for name, side in zip(PAIR_INPUTS, block, strict=True)}
            try:
                results.append(self.pair_session.run(list(names), sides))
            except Exception as error:  # as in `_session`
                raise IntegrityError(f"{path}: onnxruntime cannot run the graph ({str(error).splitlines()[0]})") from None
        return {name: np.concatenate(parts) for name, parts in zip(names, zip(*results, strict=True), strict=True)}

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
        inputs = {tensor.name for tensor in self.session.get_inputs()}
        skip = {SKIP: np.array(encoded.skip, np.int64)} if SKIP in inputs else {}
        if encoded.skip and not skip:
            raise IntegrityError(
                f"{self.path}: input '{SKIP}', which its config.json requires (include_prompt is false), is missing"
            )
        outputs = {name: np.empty((len(encoded), widths[name]), np.float32) for name in names}
        for rows in sorted_batches(encoded.lengths, batch_tokens):
            ids, mask = encoded.padded(rows)
            typed = {TYPES: encoded.padded_types(rows, mask)} if TYPES in inputs else {}
            try:
                results = self.session.run(list(names), {"input_ids": ids, "attention_mask": mask, **typed, **skip})
            except Exception as error:  # as in `_session`
                raise IntegrityError(f"{self.path}: onnxruntime cannot run the graph ({str(error).splitlines()[0]})") from None
            for name, result in zip(names, results, strict=True):
                if result.shape != (len(rows), widths[name]):
                    raise IntegrityError(f"{self.path}: output '{name}' has shape {result.shape} for {len(rows)} texts")
                outputs[name][rows] = result
            count("encoded", len(rows))
        return outputs


def _session(path: Path) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # the errors of onnxruntime have no common base class
        raise IntegrityError(f"{path}: not a readable ONNX graph ({str(error).splitlines()[0]})") from None
