"""`mtlkit pretrain`: trains a tokenizer, and a base by next-token prediction."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer

from mtlkit.config.architecture import Architecture, Encoding
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.batching import WindowSampler
from mtlkit.data.cache import encode_cached, fingerprint
from mtlkit.data.datasets.corpus import read_corpus
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.errors import DataError, UsageError, listed
from mtlkit.inference.compute import Compute, choose_compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from, drawing_from
from mtlkit.recipes.evaluation.perplexity import HeldOutTexts, perplexity, read_held_out
from mtlkit.recipes.inputs.next_command import next_command
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.model_size import check_size
from mtlkit.recipes.training.save import Provenance, TrainedModel, save_run
from mtlkit.recipes.training.session import open_session
from mtlkit.runs.record import TOKENIZER
from mtlkit.runs.staging import staged
from mtlkit.training.events import Event, Finished, Note, result
from mtlkit.training.loop import DivergedStep
from mtlkit.training.pretraining import NextTokenTraining

NEXT = "mtlkit train-sentence"


def pretrain(options: PretrainOptions) -> Finished:
    """Trains a base on texts and writes the run. Raises DataError, UsageError, DivergedError."""
    return result(stream(options))


def stream(options: PretrainOptions) -> Iterator[Event]:
    """Like `pretrain`, but yields events."""
    started = time.monotonic()
    with open_session(options, "pretrain", "pretrain") as session:
        yield from session.take_notes()
        options, out = session.options, session.out
        if session.finished:
            yield Finished(out, session.finished.metrics, 0.0, next_command(NEXT, out, "pretrain", options))
            return
        compute = choose_compute(options.device, options.precision)
        check_size(_architecture(options, options.vocab_size), [])
        if session.point.added and options.tokens is not None:
            raise UsageError("--extend adds epochs, and --tokens sets the length of the training; train again with more")
        corpus = yield from _read(options)
        data = {**corpus.data, TOKENIZER: fingerprint([corpus.tokenizer.to_str()])}
        saver = session.saver(compute, data, "scratch", None)
        yield from session.take_notes()
        model = _fresh_model(options, corpus.tokenizer.get_vocab_size(), compute)
        training = NextTokenTraining(model, corpus.windows, options, compute)
        yield Note(_describe(model, corpus, training))
        if session.state:
            training.resume(session.state)
        with session.log(saver, lambda error: _texts_of(error, options, corpus)) as log:
            yield from training.events(log, saver)
            metrics: dict[str, Any] = perplexity(model, corpus.held_out, compute)
            metrics |= {"tokens": training.state.seen, "tokens_per_second": training.state.speed}
            training.evaluated(metrics)
        saver.ended(training.state.step, training.state_dict)
        if options.keep_state:
            saver.save(training.state.step, training.state_dict(complete=True))
        trained = TrainedModel(MultiTaskModel(model), corpus.tokenizer, "base", Encoding(options.context), corpus.records)
        with session.saving(saver), staged(out) as folder:
            session.hand_over(folder)
            save_run(folder, out, trained, Provenance("pretrain", options, corpus.data), metrics)
        session.end()
        yield Note(f"held-out perplexity {metrics['perplexity']:.2f}, {metrics['bits_per_byte']:.3f} bits per byte")
        yield Finished(out, metrics, time.monotonic() - started, next_command(NEXT, out, "pretrain", options))


@dataclass(frozen=True)
class PretrainData:
    """Windows of training tokens, held-out texts, the tokenizer (trained on the training texts), fingerprints, and how each
    source was read.
    """

    windows: WindowSampler
    held_out: HeldOutTexts
    tokenizer: Tokenizer
    data: dict[str, Any]
    records: dict[str, SourceRecord]


def _architecture(options: PretrainOptions, vocabulary: int, dropout: float = 0.0) -> Architecture:
    layers, dim, heads = options.shape()
    return Architecture(vocabulary, layers, dim, heads, options.context, dropout=dropout)


def _fresh_model(options: PretrainOptions, vocabulary: int, compute: Compute) -> Encoder:
    """An encoder with random weights, on the compute device. Weights and dropout draw from the same generator."""
    random = torch.Generator().manual_seed(options.seed)
    with drawing_from(random):
        model = Encoder(_architecture(options, vocabulary, options.dropout))
    draw_from(random, model.to(compute.device))
    return model


def _describe(model: Encoder, corpus: PretrainData, training: NextTokenTraining) -> str:
    shape, parameters = model.architecture, sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{shape.layers} layers of {shape.dim}, {parameters:,} parameters, {shape.vocab_size:,} tokens in the vocabulary; "
        f"{len(corpus.windows.ids):,} tokens of text, {training.steps:,} steps of {training.batch_tokens:,} on "
        f"{training.compute.device}"
    )


def _texts_of(error: DivergedStep, options: PretrainOptions, corpus: PretrainData) -> dict[str, Any]:
    """The texts of the windows in the step that diverged."""
    windows = [ids for piece in error.pieces for ids in piece.ids.reshape(-1, options.context).tolist()]
    return {"windows": [corpus.tokenizer.decode(ids) for ids in windows]}


def _read(options: PretrainOptions) -> Generator[Event, None, PretrainData]:
    """Reads the texts and trains the tokenizer."""
    split = read_corpus(options.sources, ReadOptions(options.encoding, options.on_bad_row, SkippedRows()), options.seed)
    texts, held_out, tally = split.train, split.held_out, split.tally
    for name, record in split.records.items():
        yield from source_notes(record, name)
    yield Note(f"{len(texts):,} texts to train on, {len(held_out):,} held out{split.origin}, from {listed(options.sources)}")
    if tally.skipped:
        yield Note(f"{tally.skipped:,} rows skipped, such as {tally.reasons[0]}", warning=True)
    tokenizer = train_tokenizer(texts, options.vocab_size, options.lowercase)
    encoder = TextEncoder(tokenizer, Encoding(options.context))
    windows = WindowSampler(encode_cached(texts, encoder, whole=True).ids, options.context)
    unseen = read_held_out(held_out, encoder)
    if not len(windows):
        raise DataError(f"{len(windows.ids):,} tokens do not fill one window of --context {options.context}; add text")
    data = {"texts": fingerprint(texts), "held_out": fingerprint(held_out), "sources": options.sources}
    return PretrainData(windows, unseen, tokenizer, data, split.records)
