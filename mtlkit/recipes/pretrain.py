"""Trains a tokenizer and a base by next-token prediction."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer

from mtlkit.config.architecture import Architecture, Encoding
from mtlkit.config.from_json import to_json
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.training import PretrainOptions
from mtlkit.data.batching import WindowSampler
from mtlkit.data.cache import encode_cached, fingerprint
from mtlkit.data.datasets.corpus import read_corpus
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.errors import DataError, UsageError, listed
from mtlkit.inference.compute import choose_compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.randomness import draw_from, drawing_from
from mtlkit.recipes.evaluation.perplexity import HeldOutTexts, perplexity, read_held_out
from mtlkit.recipes.inputs.next_command import next_command
from mtlkit.recipes.inputs.source_notes import source_notes
from mtlkit.recipes.training.model_size import check_size
from mtlkit.recipes.training.save import Provenance, TrainedModel, save_run
from mtlkit.recipes.training.session import RunSession, workplace
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
    """The same, telling what happens."""
    with workplace(options, "pretrain", "pretrain") as place:
        yield from place.said()
        if place.finished:
            yield Finished(place.out, place.finished.metrics, 0.0, next_command(NEXT, place.out, "pretrain", place.options))
        else:
            yield from _train(place.options, place)


@dataclass(frozen=True)
class PretrainData:
    """Training texts in windows of tokens, the texts held out, the tokenizer trained on the others, the fingerprint, and how each
    source was read."""

    windows: WindowSampler
    held_out: HeldOutTexts
    tokenizer: Tokenizer
    data: dict[str, Any]
    records: dict[str, SourceRecord]


def _train(options: PretrainOptions, place: RunSession[PretrainOptions]) -> Iterator[Event]:
    started, out = time.monotonic(), place.out
    compute = choose_compute(options.device, options.precision)
    layers, dim, heads = options.shape()
    check_size(Architecture(options.vocab_size, layers, dim, heads, options.context), [])
    if place.added and options.tokens is not None:
        raise UsageError("--extend adds epochs, and --tokens says how long the training is; train anew with more")
    corpus = yield from _read(options)
    data = {**corpus.data, TOKENIZER: fingerprint([corpus.tokenizer.to_str()])}
    saver = place.saver(compute, data, "scratch", None)
    yield from place.said()
    vocabulary = corpus.tokenizer.get_vocab_size()
    random = torch.Generator().manual_seed(options.seed)
    with drawing_from(random):
        model = Encoder(Architecture(vocabulary, layers, dim, heads, options.context, dropout=options.dropout))
    draw_from(random, model.to(compute.device))
    training = NextTokenTraining(model, corpus.windows, options, compute)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    yield Note(
        f"{layers} layers of {dim}, {parameters:,} parameters, {vocabulary:,} tokens in the vocabulary; "
        f"{len(corpus.windows.ids):,} tokens of text, {training.steps:,} steps of {training.batch_tokens:,} on {compute.device}"
    )
    if place.begun:
        training.load(place.begun)
    with place.log(saver) as log:
        try:
            yield from training.events(log, saver)
        except DivergedStep as error:
            windows = [ids for piece in error.pieces for ids in piece.ids.reshape(-1, options.context).tolist()]
            texts = {"windows": [corpus.tokenizer.decode(ids) for ids in windows]}
            raise place.diverged(error, texts) from None
        metrics: dict[str, Any] = perplexity(model, corpus.held_out, compute)
        metrics |= {"tokens": training.reached.seen, "tokens_per_second": training.reached.speed}
        print(to_json({"step": training.steps, "validation": metrics}), file=log)
    saver.ended(training.reached.step, training.snapshot)
    if options.keep_state:
        saver.save(training.reached.step, training.snapshot(complete=True))
    product = TrainedModel(MultiTaskModel(model), corpus.tokenizer, "base", Encoding(options.context), corpus.records)
    with place.saving(saver), staged(out) as folder:
        place.hand_over(folder)
        save_run(folder, out, product, Provenance("pretrain", options, corpus.data), metrics)
    place.end()
    yield Note(f"held-out perplexity {metrics['perplexity']:.2f}, {metrics['bits_per_byte']:.3f} bits per byte")
    yield Finished(out, metrics, time.monotonic() - started, next_command(NEXT, out, "pretrain", options))


def _read(options: PretrainOptions) -> Generator[Event, None, PretrainData]:
    """The texts, and the tokenizer that is trained on them."""
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
