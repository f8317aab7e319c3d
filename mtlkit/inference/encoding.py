"""Runs a model on tokenized texts and scores its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.batch import Batch
from mtlkit.data.batching import Rows, sorted_batches
from mtlkit.data.datasets.task_data import LabelledTexts
from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.evaluation.task_metrics import score
from mtlkit.inference.compute import Compute
from mtlkit.inference.engines.base import BATCH_TOKENS, GPU_BATCH_TOKENS, ROUTER
from mtlkit.inference.engines.fast import SupportsEncode
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.progress import count

Part = slice  # of the batches: those that one of several processes encodes
ALL = slice(None)


def encode_all(
    model: SupportsEncode, encoded: Encoded, compute: Compute, batch_tokens: int | None = None, *, part: Part = ALL
) -> Tensor:
    """The vectors of N texts in their order, (N, V) float32 on the compute device; of `EncodedWords`, those of words, (W, D).
    With `part`, only its batches are encoded, and the vectors of all other texts are not set."""
    vectors = torch.empty(encoded.vectors, vector_width(model, encoded), device=compute.device)

    def encode(batch: Batch) -> None:
        vectors[torch.from_numpy(batch.vector_rows).to(compute.device)] = model.encode(batch).float()

    _for_each_batch(encode, encoded, compute, batch_tokens, part=part)
    return vectors


def vector_width(model: SupportsEncode, encoded: Encoded) -> int:
    """The width of what heads read: of hidden states for `EncodedWords`, else of vectors."""
    return model.architecture.dim if isinstance(encoded, EncodedWords) else model.architecture.vector_dim


def encode_texts_and_words(model: SupportsEncode, encoded: EncodedWords, compute: Compute) -> tuple[Tensor, Tensor]:
    """The vectors of all windows, (windows, V), and those of all words, (W, D), by one pass of the backbone."""
    shape = model.architecture
    windows = torch.empty(len(encoded), shape.vector_dim, device=compute.device)
    words = torch.empty(encoded.vectors, shape.dim, device=compute.device)

    def encode(batch: Batch) -> None:
        own = model.encode(batch).float()
        assert batch.word_rows is not None
        windows[torch.from_numpy(batch.rows).to(compute.device)] = own[: len(batch), : shape.vector_dim]
        words[torch.from_numpy(batch.word_rows).to(compute.device)] = own[len(batch) :, : shape.dim]

    _for_each_batch(encode, encoded, compute, None, pooled=True)
    return windows, words


def encode_hidden_states(
    model: SupportsEncode, encoded: Encoded, compute: Compute, depth: int, batch_tokens: int | None = None, *, part: Part = ALL
) -> Tensor:
    """The hidden states that block `depth` takes as input, in the order of the tokens: (T, D) float32 on the compute device. With
    `part`, only of its batches."""
    states = torch.empty(len(encoded.ids), model.architecture.dim, device=compute.device)

    def encode(batch: Batch) -> None:
        places = torch.from_numpy(encoded.places(batch.rows)).to(compute.device)
        states[places] = model.states(batch, depth).float()

    _for_each_batch(encode, encoded, compute, batch_tokens, part=part)
    return states


def batches_of(encoded: Encoded, compute: Compute, batch_tokens: int | None = None) -> list[Rows]:
    """The batches in which texts are encoded: of similar length, longest first."""
    budget = batch_tokens or (BATCH_TOKENS if compute.device.type == "cpu" else GPU_BATCH_TOKENS)
    return sorted_batches(encoded.lengths, budget)[::-1]


def _for_each_batch(
    work: Callable[[Batch], None],
    encoded: Encoded,
    compute: Compute,
    batch_tokens: int | None,
    *,
    pooled: bool = False,
    part: Part = ALL,
) -> None:
    """Calls `work` with the batches of `part`, on the compute device and without gradients. `pooled`: of words and the texts that
    they are in."""
    on_cpu = compute.device.type == "cpu"

    def batch(rows: Rows) -> None:
        with torch.no_grad(), compute.autocast():  # both are thread-local
            batch = encoded.batch(rows)
            work((replace(batch, pooled=True) if pooled else batch).to(compute.device))

    run_batches(batch, batches_of(encoded, compute, batch_tokens)[part], torch.get_num_threads() if on_cpu else 1)


def run_batches(work: Callable[[Rows], None], batches: Sequence[Rows], threads: int) -> None:
    """Calls `work` with every batch. With several threads, each computes a batch of its own on one core, because the matrix
    products of short texts are too small to be split."""
    if threads == 1 or len(batches) == 1:
        for rows in batches:
            work(rows)
            count("encoded", len(rows))
        return
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for rows, _ in zip(batches, pool.map(work, batches), strict=True):
                count("encoded", len(rows))
    finally:
        torch.set_num_threads(threads)


@torch.no_grad()
def outputs_of_head(
    model: MultiTaskModel, task: str, vectors: Tensor, begins: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """The outputs of a task's head, (N, outputs), or for ROUTER the router's, (N, tasks), from vectors (N, D). For a head that
    reads words, `begins`, (W,), says whether a word is the first of its text."""
    head = model.part("router") if task == ROUTER else model.head(task)
    outputs: NDArray[np.float32] = head(vectors).float().cpu().numpy()
    return outputs if begins is None else model.head(task).of_texts(outputs, begins)


@torch.no_grad()
def evaluate(model: MultiTaskModel, task: str, texts: LabelledTexts, vectors: Tensor) -> dict[str, Any]:
    """The loss and all metrics of a task on texts with the given vectors (N, D). The model must be in evaluation mode."""
    head = model.head(task)
    outputs = head(vectors)
    labels = torch.from_numpy(texts.labels).to(vectors.device)
    loss = float(head.loss(outputs, labels))
    values = outputs.float().cpu().numpy()
    if texts.begins is not None:
        values = head.of_texts(values, texts.begins)
    return {"loss": loss, **score(head.spec, values, texts.labels)}
