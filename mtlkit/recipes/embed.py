"""Vectors for texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.inference import EmbedOptions, ModelOptions, TextOptions
from mtlkit.data.vectors import check_output, vector_file
from mtlkit.errors import UsageError
from mtlkit.recipes.finding import Found, find_model
from mtlkit.recipes.loading import LoadedModel, load
from mtlkit.recipes.texts import parts, stream_texts


@dataclass(frozen=True)
class Embedded:
    """Some texts and their vectors, float32 (len(texts), dim)."""

    texts: list[str]
    vectors: NDArray[np.float32]


def open_model(options: ModelOptions) -> tuple[LoadedModel, Found]:
    """The model asked for, or the newest that finished, best stage first.

    A few texts are answered soonest by an exported graph, many by torch, which takes longer to import.
    """
    found = find_model(options.model, options.runs, ("mtl", "sentence", "base"), "any")
    few = isinstance(options, TextOptions) and bool(options.texts) and options.texts != ["-"]
    backend = "torch" if options.backend == "auto" and not few else options.backend
    return load(found.path, device=options.device, precision=options.precision, backend=backend), found


def embed(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[Embedded]:
    """Texts and vectors in parts, in the order of the texts; memory does not grow with their number."""
    for texts in parts(stream_texts(options, standard_input)):
        yield Embedded(texts, loaded.embed(texts, normalize=options.normalize, batch_tokens=options.batch_tokens))


def embed_to_file(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[int]:
    """Writes the vectors to `options.output` and yields how many are written, after each part. Raises UsageError, DataError."""
    if options.output is None:
        raise UsageError("no --output to write to")
    check_output(options.output)
    written = 0
    with vector_file(options.output, loaded.dim) as writer:
        for part in embed(options, loaded, standard_input):
            writer.add(part.texts, part.vectors)
            written += len(part.texts)
            yield written


def cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine of every pair of N vectors, (N, N)."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    matrix: NDArray[np.float32] = unit @ unit.T
    return matrix
