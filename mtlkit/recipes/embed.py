"""Vectors for texts."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import starmap
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.inference import EmbedOptions
from mtlkit.config.vector_settings import Similarity
from mtlkit.data.encoded import Encoded
from mtlkit.data.prefetch import ahead
from mtlkit.data.resumable_output import OutputParts
from mtlkit.data.vector_files import check_suffix
from mtlkit.errors import UsageError, rows_from
from mtlkit.inference.find_model import ModelRef
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.similarity import normalize_rows, truncate
from mtlkit.inference.similarity import similarities as similarity_matrix
from mtlkit.model.digest import digest_of
from mtlkit.progress import counting
from mtlkit.recipes.embedding.finished_output import TextsDigest, check_finished, note_finished
from mtlkit.recipes.inputs.command_line import command_line
from mtlkit.recipes.inputs.input_files import inputs_of
from mtlkit.recipes.inputs.texts import count_texts, parts, reads_standard_input, stream_texts
from mtlkit.runs.lock import locked
from mtlkit.runs.outputs import check_output_file

MOST_COMPARED = 4096  # texts: their matrix has 64 MB


@dataclass(frozen=True)
class Embedded:
    """Some texts and their vectors, float32 (len(texts), dim)."""

    texts: list[str]
    vectors: NDArray[np.float32]


@dataclass(frozen=True)
class Similarities:
    """N texts and how alike every pair of them is, (N, N), by the model's similarity function."""

    texts: list[str]
    values: NDArray[np.float32]
    kind: Similarity


@dataclass(frozen=True)
class EmbedPart:
    """A part of the texts as tokens; None where its vectors are there already."""

    number: int
    texts: list[str]
    encoded: Encoded | None


@dataclass(frozen=True)
class EmbedProgress:
    """How many texts are through a stage, of how many where that is known; `kept` were done by an earlier run. `finished`: all
    were, and nothing was written."""

    stage: Literal["embedded", "written", "finished"]
    texts: int
    total: int | None
    kept: int


def embed(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[Embedded]:
    """Texts and vectors in parts, in the order of the texts; memory does not grow with their number."""
    if options.resume or options.overwrite:
        raise UsageError("--resume and --overwrite need an --output")
    loaded.output_dim(options.dim)
    texts, total = 0, count_texts(options)
    with closing(_encoded(options, loaded, standard_input)) as stream:
        for part in stream:
            assert part.encoded is not None
            with rows_from(texts), counting("embedding", "encoded", total, done=texts):
                vectors = _vectors(options, loaded, part.encoded)
            texts += len(part.texts)
            yield Embedded(part.texts, vectors)


def similarities(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Similarities:
    """How alike every pair of the texts is, from two to 4,096 of them. Raises UsageError, DataError."""
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


def check_output(options: EmbedOptions, model: ModelRef | None = None) -> None:
    """Whether `options.output` may be written, before any work. Raises UsageError."""
    if options.output is None:
        raise UsageError("no --output to write to")
    if options.resume and options.overwrite:
        raise UsageError("--resume and --overwrite are given; use one of them")
    check_suffix(options.output)
    check_output_file(options.output, inputs_of(options, model), overwrite=options.overwrite or options.resume)


def embed_to_file(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[EmbedProgress]:
    """Writes the vectors to `options.output`, part by part. What is done outlives any end but success: see `OutputParts`.

    Raises UsageError, DataError.
    """
    model = ModelRef(loaded.path, "")
    check_output(options, model)
    assert options.output is not None
    with locked(options.output, command_line("embed", options), option="--output"):
        check_output(options, model)  # as another command may have written it meanwhile
        done = OutputParts(options.output, _made_by(options, loaded))
        if options.resume and options.output.exists() and not done.any():
            count = check_finished(options.output, done.made_by, stream_texts(options, standard_input))
            yield EmbedProgress("finished", count, count, count)
        else:
            yield from _embed_parts(options, loaded, standard_input, done)


def _embed_parts(
    options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO, done: OutputParts
) -> Iterator[EmbedProgress]:
    """Makes the parts that are not there, and the output of all."""
    width = loaded.output_dim(options.dim)
    total = count_texts(options)
    done.open(options.resume, options.overwrite)
    texts, kept, count = TextsDigest(), 0, 0
    try:
        with closing(_encoded(options, loaded, standard_input, done)) as stream:
            for part in stream:
                if part.encoded is None:
                    kept += len(part.texts)
                else:
                    with rows_from(texts.count), counting("embedding", "encoded", total, done=texts.count):
                        vectors = _vectors(options, loaded, part.encoded)
                    done.write(part.number, part.texts, vectors)
                texts.add(part.texts)
                count += 1
                yield EmbedProgress("embedded", texts.count, total, kept)
        written = 0
        for more in done.assemble(count, width):
            written += more
            yield EmbedProgress("written", written, texts.count, kept)
        note_finished(done.output, done.made_by, texts)
    finally:
        if not done.any():
            done.remove()


def _encoded(
    options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO, done: OutputParts | None = None
) -> Generator[EmbedPart, None, None]:
    """The texts as tokens, part by part, read and made in a thread while the model runs the part before.

    Standard input is read without one: a thread that waits for a line cannot be stopped.
    """

    def encode(number: int, texts: list[str]) -> EmbedPart:
        return EmbedPart(number, texts, None if done and done.holds(number, texts) else loaded.encode(texts))

    made = starmap(encode, enumerate(parts(stream_texts(options, standard_input, loaded.recorded()))))
    yield from made if options.input is None or reads_standard_input(options) else ahead(made)


def _vectors(options: EmbedOptions, loaded: LoadedModel, encoded: Encoded) -> NDArray[np.float32]:
    vectors = truncate(loaded.vectors(encoded, batch_tokens=options.batch_tokens), loaded.output_dim(options.dim))
    return normalize_rows(vectors) if options.normalize else vectors


def _made_by(options: EmbedOptions, loaded: LoadedModel) -> dict[str, str]:
    """What vectors depend on, besides their texts. The size of batches is left out, so that it can be lowered on the way."""
    return {
        "model": digest_of(loaded.path)[:16],
        "engine": type(loaded.engine).__name__,
        "precision": loaded.engine.precision,
        "normalize": str(options.normalize).lower(),
        "dim": str(loaded.output_dim(options.dim)),
        **({"prompt": repr(loaded.encoder.prompt)} if loaded.encoder.prompt else {}),
        **({} if loaded.encoder.encoding.literal_special_tokens else {"special tokens": "read"}),
    }
