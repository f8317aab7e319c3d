"""Trains a tokenizer and a base by next-token prediction."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.config.architecture import Architecture, Encoding
from mtlkit.config.training import PretrainOptions
from mtlkit.data.batching import Windows
from mtlkit.data.cache import encode_cached, fingerprint
from mtlkit.data.corpus import read_corpus
from mtlkit.data.tokenizer import TextEncoder, train_tokenizer
from mtlkit.errors import DataError
from mtlkit.inference.compute import choose_compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import next_token_loss
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.perplexity import held_out_windows, perplexity, window_batch
from mtlkit.recipes.saving import Product, save_run
from mtlkit.runs import LOG, check_place, staged
from mtlkit.training.events import Event, Finished, Note, Progress, result
from mtlkit.training.loop import train
from mtlkit.training.optimizer import LearningRate


def pretrain(options: PretrainOptions) -> Finished:
    """Trains a base on texts and writes the run. Raises DataError, UsageError, DivergedError."""
    return result(stream(options))


@dataclass(frozen=True)
class Pieces:
    """The work of one step: token ids and targets, (windows * length,)."""

    ids: NDArray[np.int64]
    targets: NDArray[np.int64]
    epoch: int


def stream(options: PretrainOptions) -> Iterator[Event]:
    """The same, telling what happens."""
    started = time.monotonic()
    out = options.out or options.runs / "pretrain"
    check_place(out, options.overwrite)
    compute = choose_compute(options.device, options.precision)
    layers, dim, heads = options.shape()
    Architecture(options.vocab_size, layers, dim, heads, options.context)  # says at once what cannot be built
    texts, held_out, tally = read_corpus(options.sources, options.encoding, options.on_bad_row, options.seed)
    yield Note(f"{len(texts):,} texts to train on, {len(held_out):,} held out, from {', '.join(options.sources)}")
    if tally.skipped:
        yield Note(f"{tally.skipped:,} rows skipped, such as {tally.reasons[0]}", warning=True)
    tokenizer = train_tokenizer(texts, options.vocab_size, options.lowercase)
    encoder = TextEncoder(tokenizer, Encoding(options.context))
    architecture = Architecture(tokenizer.get_vocab_size(), layers, dim, heads, options.context, dropout=options.dropout)
    windows = Windows(encode_cached(texts, encoder, whole=True).ids, options.context)
    validation = held_out_windows(encode_cached(held_out, encoder, whole=True).ids, options.context)
    if not len(windows):
        raise DataError(f"{len(windows.ids):,} tokens do not fill one window of --context {options.context}; add text")
    torch.manual_seed(options.seed)
    model = Encoder(architecture).to(compute.device)
    per_batch = max(1, options.batch_tokens // options.context)
    steps_each = math.ceil(len(windows) / per_batch)
    steps = options.epochs * steps_each
    if options.tokens is not None:
        steps = max(1, options.tokens // (per_batch * options.context))
    epochs = math.ceil(steps / steps_each)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    yield Note(
        f"{layers} layers of {dim}, {parameters:,} parameters, {architecture.vocab_size:,} tokens in the vocabulary; "
        f"{len(windows.ids):,} tokens of text, {steps:,} steps of {per_batch * options.context:,} on {compute.device}"
    )

    def work() -> Iterator[Pieces]:
        taken = epoch = 0
        while True:
            batches, shift = windows.epoch(epoch, options.seed, per_batch)
            for batch in batches:
                if taken == steps:
                    return
                yield Pieces(*windows.take(batch, shift), epoch)
                taken += 1
            epoch += 1

    def loss(pieces: Pieces) -> dict[str, Tensor]:
        batch, targets = window_batch(pieces.ids, pieces.targets, options.context, compute.device)
        return {"next token": next_token_loss(model, batch, targets)}

    with staged(out) as folder:
        with (folder / LOG).open("w", encoding="utf-8") as log:
            begun = time.monotonic()
            seen = 0
            model.train()
            rate = LearningRate(options.learning_rate, steps, options.warmup)
            for step in train(
                model,
                work(),
                loss,
                rate,
                weight_decay=options.weight_decay,
                clip=options.clip,
                compute=compute,
                describe=lambda pieces: f"epoch {pieces.epoch + 1}",
            ):
                seen += len(step.work.ids)
                loss_now = step.losses["next token"]
                figures = {
                    "perplexity": math.exp(min(50.0, loss_now)),
                    "learning rate": step.rate,
                    "gradient norm": step.gradient_norm,
                }
                print(json.dumps({"step": step.index + 1, "tokens": seen, "loss": loss_now, **figures}), file=log)
                elapsed = time.monotonic() - begun
                speed = seen / elapsed
                epoch = min(step.work.epoch + 1, epochs)  # shifted windows can be one fewer, so the last steps begin another pass
                yield Progress(step.index + 1, steps, epoch, epochs, elapsed, speed, step.losses, figures)
            metrics = perplexity(model, validation, held_out, compute)
            metrics |= {"tokens": seen, "tokens_per_second": seen / (time.monotonic() - begun)}
            print(json.dumps({"step": steps, "validation": metrics}), file=log)
        data = {"texts": fingerprint(texts), "held_out": fingerprint(held_out), "sources": options.sources}
        product = Product(MultiTaskModel(model), tokenizer, "base", encoder.encoding)
        save_run(folder, out, product, "pretrain", options, data=data, metrics=metrics)
    yield Note(f"held-out perplexity {metrics['perplexity']:.2f}, {metrics['bits_per_byte']:.3f} bits per byte")
    yield Finished(out, metrics, time.monotonic() - started, "mtlkit train-sentence")
