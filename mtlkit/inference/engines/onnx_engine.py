"""The engine that runs an exported ONNX graph with onnxruntime. It does not import torch, so it starts quickly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mtlkit.data.batching import sorted_batches
from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.errors import IntegrityError, counted
from mtlkit.evaluation.metrics import check_finite
from mtlkit.inference.engines import base as engine
from mtlkit.inference.engines.base import BATCH_TOKENS, ROUTER, VECTORS, Array, Pairs, checked_output
from mtlkit.inference.engines.onnx_session import OnnxGraph
from mtlkit.model.heads.tag_sequences import log_marginals
from mtlkit.progress import count
from mtlkit.runs.record import PAIR_GRAPH

VECTOR, HEAD_OUTPUT, ROUTER_OUTPUT = "vector", "head:{}", "router"  # names of a graph's outputs
TRANSITIONS = "transitions:{}"  # output with the learned transitions of a head that labels words
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
    """Runs a graph that maps token ids and a mask, both (N, L), to the vectors and the outputs of every head that reads one text,
    and for heads that label words to an output for each token. A second one beside it, PAIR_GRAPH, maps the vectors of both texts
    of pairs to the outputs of the other heads."""

    precision = "fp32"
    tokens_at_once = BATCH_TOKENS

    def __init__(self, path: Path) -> None:
        self.graph = OnnxGraph(path)
        self.pair_path = path.with_name(PAIR_GRAPH)
        self.pair_graph = OnnxGraph(self.pair_path) if self.pair_path.is_file() else None

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None, task: str | None = None) -> Array:
        return check_finite(self._run(encoded, [VECTOR], batch_tokens or BATCH_TOKENS)[VECTOR], engine.VECTOR)

    def outputs(self, encoded: Encoded, tasks: Sequence[str], pairs: Pairs | None = None) -> dict[str, Array]:
        names = {task: output_name(task) for task in tasks}
        if pairs is not None:
            outputs = self._run_pairs(self.vectors(encoded), pairs, list(names.values()))
            return {task: checked_output(outputs[name], task) for task, name in names.items()}
        outputs = self._run(encoded, list(names.values()), BATCH_TOKENS)
        if not isinstance(encoded, EncodedWords):
            return {task: checked_output(outputs[name], task) for task, name in names.items()}
        return {task: self._output_of_words(encoded, task, outputs[name]) for task, name in names.items()}

    def _output_of_words(self, encoded: EncodedWords, task: str, outputs: Array) -> Array:
        """The outputs of a head that labels words as `Engine` gives them, or those of another one for the texts."""
        if not self.graph.of_tokens(output_name(task)):
            return checked_output(outputs[encoded.texts], task)
        transitions = TRANSITIONS.format(task)
        if transitions in self.graph.shapes and encoded.begins is not None:
            nothing = {name: np.ones((1, 1) if name != SKIP else (), np.int64) for name in self.graph.inputs}
            outputs = log_marginals(outputs, encoded.begins, self.graph.run([transitions], nothing)[transitions])
        return checked_output(outputs, task, encoded.begins)

    def _run_pairs(self, vectors: Array, pairs: Pairs, names: Sequence[str]) -> dict[str, Array]:
        if missing := next((name for name in names if self.pair_graph is None or name not in self.pair_graph.shapes), None):
            raise IntegrityError(f"{self.pair_path}: output '{missing}', which config.json lists, is missing")
        assert self.pair_graph is not None
        results = []
        for start in range(0, pairs.shape[1], PAIRS_AT_ONCE):
            block = pairs[:, start : start + PAIRS_AT_ONCE]
            sides = {name: vectors[side] for name, side in zip(PAIR_INPUTS, block, strict=True)}
            results.append(self.pair_graph.run(names, sides))
        return {name: np.concatenate([part[name] for part in results]) for name in names}

    def _run(self, encoded: Encoded, names: Sequence[str], batch_tokens: int) -> dict[str, Array]:
        """The outputs of these names for all texts or windows, (N, width); those of tokens for the words of `EncodedWords`,
        (W, width)."""
        graph = self.graph
        widths = {name: graph.width(name) for name in names}
        skip = {SKIP: np.array(encoded.skip, np.int64)} if SKIP in graph.inputs else {}
        if encoded.skip and not skip:
            raise IntegrityError(
                f"{graph.path}: input '{SKIP}', which its config.json requires (include_prompt is false), is missing"
            )
        of_words = {name for name in names if graph.of_tokens(name)}
        outputs = {
            name: np.empty((encoded.vectors if name in of_words else len(encoded), widths[name]), np.float32) for name in names
        }
        for rows in sorted_batches(encoded.lengths, batch_tokens):
            ids, mask = encoded.padded(rows)
            typed = {TYPES: encoded.padded_types(rows, mask)} if TYPES in graph.inputs else {}
            for name, result in graph.run(names, {"input_ids": ids, "attention_mask": mask, **typed, **skip}).items():
                shape = ids.shape if name in of_words else ids.shape[:1]
                if result.shape != (*shape, widths[name]):
                    raise IntegrityError(
                        f"{graph.path}: output '{name}' has shape {result.shape} for {counted(len(rows), 'text')}"
                    )
                if isinstance(encoded, EncodedWords) and name in of_words:
                    words, windows, places = encoded.words_in(rows)
                    outputs[name][words] = result[windows, places]
                else:
                    outputs[name][rows] = result
            count("encoded", len(rows))
        return outputs
