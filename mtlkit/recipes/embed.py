"""`mtlkit embed`: vectors of texts."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.vector_settings import Similarity
from mtlkit.data.encoded import Encoded
from mtlkit.data.outputs.columns import Layout, OutputRows, VectorColumn
from mtlkit.data.prefetch import ahead
from mtlkit.data.sources.kept_columns import KeptRow, texts_and_values
from mtlkit.errors import UsageError, rows_from
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.similarity import normalize_rows, truncate
from mtlkit.inference.similarity import similarities as similarity_matrix
from mtlkit.model.digest import digest_of
from mtlkit.progress import counting
from mtlkit.recipes.inputs.texts import count_texts, parts, reads_standard_input, stream_texts
from mtlkit.recipes.outputs.job import Job, OutputProgress, RowOptions, examples_and_kept, identities, settings_of_texts
from mtlkit.recipes.outputs.write import check_no_output, write_output

MOST_COMPARED = 4096  # texts: their matrix has 64 MB


@dataclass(frozen=True)
class Embedded:
    """Some texts and their vectors, float32 (len(texts), dim)."""

    texts: list[str]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Similarities:
    """N texts and the similarity of every pair, (N, N), according to the model's similarity function."""

    texts: list[str]
    values: NDArray[np.float32]
    kind: Similarity


def embed(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[Embedded]:
    """Texts and vectors in parts, in the order of the texts; memory does not grow with their number."""
    check_no_output(options)
    loaded.output_dim(options.dim)
    loaded.check_task(options.task)
    texts, total = 0, count_texts(options)
    stream = parts(stream_texts(options, standard_input, loaded.recorded()))
    encoded_parts: Generator[tuple[list[str], Encoded], None, None] = ((part, loaded.encode(part)) for part in stream)
    threaded = bool(options.input) and not reads_standard_input(options)  # a thread that waits for a line cannot be stopped
    with closing(ahead(encoded_parts) if threaded else encoded_parts) as ready:
        for part, encoded in ready:
            with rows_from(texts), counting("embedding", "encoded", total, done=texts):
                vectors = _vectors(options, loaded, encoded)
            texts += len(part)
            yield Embedded(part, vectors)


def similarities(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Similarities:
    """The similarity of every pair of 2 to MOST_COMPARED texts. Raises UsageError, DataError."""
    if options.output is not None:
        raise UsageError("--similarity writes no file, it prints; leave --output out")
    texts: list[str] = []
    vectors: list[NDArray[np.float32]] = []
    for part in embed(options, loaded, standard_input):
        texts += part.texts
        vectors.append(part.vectors)
        if len(texts) > MOST_COMPARED:
            raise UsageError(f"--similarity compares {MOST_COMPARED:,} texts at most; embed them with --output instead")
    if len(texts) < 2:
        raise UsageError(f"--similarity needs two texts at least, and there {'is one' if texts else 'are none'}")
    kind = loaded.checkpoint.vectors.similarity
    return Similarities(texts, similarity_matrix(np.concatenate(vectors), kind), kind)


def embed_to_output(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[OutputProgress]:
    """Writes the vectors to `options.output`, in parts, so that an interrupted run can be resumed.

    Raises UsageError, DataError, SavingError.
    """
    loaded.check_task(options.task)
    return write_output(options, loaded, lambda suffix: EmbedJob(options, loaded, standard_input, suffix))


class EmbedJob(Job):
    """Vectors of texts."""

    command, activity = "embed", "embedding"

    def __init__(self, options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO, suffix: str) -> None:
        self.options = options
        super().__init__(options, loaded, standard_input, suffix)

    def make_layout(self) -> Layout:
        return Layout(not self.keep, self.keep, VectorColumn(self.loaded.output_dim(self.options.dim), self.options.dtype))

    def prepare(self, rows: list[Any]) -> Encoded:
        return self.loaded.encode(examples_and_kept(rows)[0])

    def compute(self, rows: list[Any], prepared: Encoded) -> OutputRows:
        return OutputRows(identities(rows), _vectors(self.options, self.loaded, prepared), examples_and_kept(rows)[1])

    def examples(self, options: RowOptions) -> Iterator[str]:
        return stream_texts(options, self.standard_input, self.recorded)

    def kept_rows(self, table: str, options: RowOptions) -> Iterator[KeptRow]:
        return texts_and_values(table, options.column, options.encoding, self.recorded, self.keep)

    def settings(self) -> dict[str, str]:
        options, loaded = self.options, self.loaded
        return {
            "model": digest_of(loaded.path)[:16],
            "engine": type(loaded.engine).__name__,
            "precision": loaded.engine.precision,
            "normalize": str(options.normalize).lower(),
            "dim": str(loaded.output_dim(options.dim)),
            **({"dtype": options.dtype} if options.dtype != "float32" else {}),
            **({"task": options.task} if options.task in loaded.checkpoint.adapters else {}),
            **settings_of_texts(loaded),
        }


def _vectors(options: EmbedOptions, loaded: LoadedModel, encoded: Encoded) -> NDArray[np.float32]:
    vectors = truncate(
        loaded.vectors(encoded, batch_tokens=options.batch_tokens, task=options.task), loaded.output_dim(options.dim)
    )
    return normalize_rows(vectors) if options.normalize else vectors
