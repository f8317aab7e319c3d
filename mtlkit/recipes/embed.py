"""`mtlkit embed`: vectors of texts."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import starmap
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.vector_settings import Similarity
from mtlkit.data.encoded import Encoded
from mtlkit.data.prefetch import ahead
from mtlkit.data.resumable_output import OutputParts
from mtlkit.data.vector_writers import check_suffix
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
    """N texts and the similarity of every pair, (N, N), according to the model's similarity function."""

    texts: list[str]
    values: NDArray[np.float32]
    kind: Similarity


@dataclass(frozen=True)
class EmbedPart:
    """A part of the texts and their tokens; `encoded` is None if an earlier run has saved their vectors."""

    number: int
    texts: list[str]
    encoded: Encoded | None


@dataclass(frozen=True)
class EmbedProgress:
    """Progress in a stage: the number of `texts` done, of `total` (None: unknown); `reused` are from an earlier run. The stage
    `finished` means that an earlier run had finished the output, so nothing was written.
    """

    stage: Literal["embedded", "written", "finished"]
    texts: int
    total: int | None
    reused: int


def embed(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[Embedded]:
    """Texts and vectors in parts, in the order of the texts; memory does not grow with their number."""
    if options.resume or options.overwrite:
        raise UsageError("--resume and --overwrite need an --output")
    loaded.output_dim(options.dim)
    loaded.check_task(options.task)
    texts, total = 0, count_texts(options)
    with closing(_encoded(options, loaded, standard_input)) as stream:
        for part in stream:
            assert part.encoded is not None
            with rows_from(texts), counting("embedding", "encoded", total, done=texts):
                vectors = _vectors(options, loaded, part.encoded)
            texts += len(part.texts)
            yield Embedded(part.texts, vectors)


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


def check_output(options: EmbedOptions, model: ModelRef | None = None) -> None:
    """Raises UsageError if `options.output` must not or cannot be written. Call it before any work."""
    if options.output is None:
        raise UsageError("no --output to write to")
    if options.resume and options.overwrite:
        raise UsageError("--resume and --overwrite are given; use one of them")
    check_suffix(options.output)
    check_output_file(options.output, inputs_of(options, model), overwrite=options.overwrite or options.resume)


def embed_to_file(options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[EmbedProgress]:
    """Writes the vectors to `options.output`. They are saved in parts, so that an interrupted run can be resumed (`OutputParts`).

    Raises UsageError, DataError.
    """
    model = ModelRef(loaded.path, "")
    check_output(options, model)
    assert options.output is not None
    with locked(options.output, command_line("embed", options), option="--output"):
        check_output(options, model)  # again, as another command may have written the file in the meantime
        done = OutputParts(options.output, _made_by(options, loaded))
        if options.resume and options.output.exists() and not done.any():
            count = check_finished(options.output, done.made_by, stream_texts(options, standard_input))
            yield EmbedProgress("finished", count, count, count)
        else:
            yield from _embed_parts(options, loaded, standard_input, done)


def _embed_parts(
    options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO, done: OutputParts
) -> Iterator[EmbedProgress]:
    """Computes the parts that are missing, then assembles the output."""
    width = loaded.output_dim(options.dim)
    loaded.check_task(options.task)
    total = count_texts(options)
    done.open(options.resume, options.overwrite)
    texts, reused, count = TextsDigest(), 0, 0
    try:
        with closing(_encoded(options, loaded, standard_input, done)) as stream:
            for part in stream:
                if part.encoded is None:
                    reused += len(part.texts)
                else:
                    with rows_from(texts.count), counting("embedding", "encoded", total, done=texts.count):
                        vectors = _vectors(options, loaded, part.encoded)
                    done.write(part.number, part.texts, vectors)
                texts.add(part.texts)
                count += 1
                yield EmbedProgress("embedded", texts.count, total, reused)
        written = 0
        for more in done.assemble(count, width):
            written += more
            yield EmbedProgress("written", written, texts.count, reused)
        note_finished(done.output, done.made_by, texts)
    finally:
        if not done.any():
            done.remove()


def _encoded(
    options: EmbedOptions, loaded: LoadedModel, standard_input: TextIO, done: OutputParts | None = None
) -> Generator[EmbedPart, None, None]:
    """Tokenizes texts in parts, in a thread, so that the next part is ready when the model has processed the current one.

    Standard input is read in the main thread, as a thread that waits for a line cannot be stopped.
    """

    def encode(number: int, texts: list[str]) -> EmbedPart:
        return EmbedPart(number, texts, None if done and done.holds(number, texts) else loaded.encode(texts))

    encoded_parts = starmap(encode, enumerate(parts(stream_texts(options, standard_input, loaded.recorded()))))
    yield from encoded_parts if options.input is None or reads_standard_input(options) else ahead(encoded_parts)


def _vectors(options: EmbedOptions, loaded: LoadedModel, encoded: Encoded) -> NDArray[np.float32]:
    vectors = truncate(
        loaded.vectors(encoded, batch_tokens=options.batch_tokens, task=options.task), loaded.output_dim(options.dim)
    )
    return normalize_rows(vectors) if options.normalize else vectors


def _made_by(options: EmbedOptions, loaded: LoadedModel) -> dict[str, str]:
    """Everything but the texts that vectors depend on. Without the batch size, so that it can be lowered on resume."""
    return {
        "model": digest_of(loaded.path)[:16],
        "engine": type(loaded.engine).__name__,
        "precision": loaded.engine.precision,
        "normalize": str(options.normalize).lower(),
        "dim": str(loaded.output_dim(options.dim)),
        **({"task": options.task} if options.task in loaded.checkpoint.adapters else {}),
        **({"prompt": repr(loaded.encoder.prompt)} if loaded.encoder.prompt else {}),
        **({} if loaded.encoder.encoding.literal_special_tokens else {"special tokens": "read"}),
    }
