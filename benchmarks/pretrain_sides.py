"""The sides of `pretrain.py`, each in its own process."""

from __future__ import annotations

import importlib.util
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from compare import Measure, Stopwatch
from torch import Tensor, nn
from workers import serve

from mtlkit.config.architecture import Architecture, Encoding
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.data.datasets.corpus import read_corpus
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.data.windows import WindowSampler
from mtlkit.inference.compute import choose_compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import next_token_loss
from mtlkit.training.loop import train
from mtlkit.training.optimizer import LearningRate, ScheduledOptimizer
from mtlkit.training.pretraining import window_batch
from mtlkit.training.train_state import ModelUpdater

LAYERS, DIM, HEADS, CONTEXT = 4, 256, 4, 256
DEFAULTS = PretrainOptions()

MicroBatch = tuple[np.ndarray, np.ndarray]
Losses = Callable[[Namespace, Iterator[MicroBatch]], Iterator[float]]


@dataclass(frozen=True)
class Corpus:
    """A tokenizer that was trained on texts, their tokens as one packed stream, and held-out texts."""

    encoder: TextEncoder
    windows: WindowSampler
    held_out: list[str]


def read_text(sources: list[str], vocabulary: int) -> Corpus:
    """Reads texts. Little text fills less of the vocabulary; the models have all of it."""
    split = read_corpus(sources, ReadOptions("utf-8", "error", SkippedRows()), 0)
    encoder = TextEncoder(train_tokenizer(split.train, vocabulary), Encoding(CONTEXT))
    return Corpus(encoder, WindowSampler(encoder.stream(split.train).ids, CONTEXT), split.held_out)


def pieces(windows: WindowSampler, per_step: int, seed: int = 0) -> Iterator[MicroBatch]:
    """Ids and targets of full steps, epoch after epoch, without end."""
    if len(windows) <= per_step:
        raise SystemExit(f"{len(windows)} windows of {CONTEXT} tokens are too few for steps of {per_step}; give more text")
    epoch = 0
    while True:
        batches = windows.epoch(epoch, seed, per_step)
        yield from (windows.take(batch) for batch in batches if len(batch.starts) == per_step)
        epoch += 1


def rate_of(options: Namespace) -> LearningRate:
    return LearningRate(DEFAULTS.peak_rate, options.total, DEFAULTS.warmup)


def ours(options: Namespace, work: Iterator[MicroBatch]) -> Iterator[float]:
    """As `mtlkit pretrain` does it."""
    compute = choose_compute("cpu", "fp32")
    model = Encoder(Architecture(options.vocabulary, LAYERS, DIM, HEADS, CONTEXT, dropout=options.dropout)).train()

    def loss(piece: MicroBatch) -> dict[str, Tensor]:
        batch, targets = window_batch(*piece, CONTEXT, compute.device)
        return {"next token": next_token_loss(model, batch, targets)}

    rate, decay = rate_of(options), DEFAULTS.weight_decay
    optimizer = ScheduledOptimizer(dict(model.named_parameters()), rate, weight_decay=decay, clip=DEFAULTS.clip)
    for step in train(((piece,) for piece in work), loss, ModelUpdater(model, optimizer, compute)):
        yield step.losses["next token"]


def gpt2(options: Namespace, work: Iterator[MicroBatch]) -> Iterator[float]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=options.vocabulary, n_positions=CONTEXT, n_embd=DIM, n_layer=LAYERS, n_head=HEADS, use_cache=False,
        activation_function="gelu", embd_pdrop=options.dropout, resid_pdrop=options.dropout, attn_pdrop=0.0,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=DEFAULTS.weight_decay, fused=True)
    return by_hand(model, optimizer, lambda ids, _: model(input_ids=ids, labels=ids).loss, rate_of(options).at, work)


def nanogpt(options: Namespace, work: Iterator[MicroBatch]) -> Iterator[float]:
    theirs = import_file("nanogpt_model", Path(options.nanogpt) / "model.py")
    config = theirs.GPTConfig(
        block_size=CONTEXT, vocab_size=options.vocabulary, n_layer=LAYERS, n_head=HEADS, n_embd=DIM, dropout=0.0
    )
    model = theirs.GPT(config).train()
    optimizer = model.configure_optimizers(DEFAULTS.weight_decay, DEFAULTS.peak_rate, (0.9, 0.98), "cpu")
    return by_hand(model, optimizer, lambda ids, targets: model(ids, targets)[1], rate_of(options).at, work)


def by_hand(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    rate: Callable[[int], float],
    work: Iterator[MicroBatch],
) -> Iterator[float]:
    """The loop that one writes around such a model; yields the loss of each step."""
    for index, piece in enumerate(work):
        for group in optimizer.param_groups:
            group["lr"] = rate(index)
        ids, targets = (torch.from_numpy(one).view(-1, CONTEXT) for one in piece)
        loss = loss_of(ids, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), DEFAULTS.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield loss.item()


def import_file(name: str, path: Path) -> Any:
    """A module that no package has."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def prepared(losses_of: Losses) -> Callable[[Namespace], Callable[[], Measure]]:
    """Starts a training, and returns what measures its next steps."""

    def prepare(options: Namespace) -> Callable[[], Measure]:
        torch.set_num_threads(options.threads)
        torch.manual_seed(0)
        text = read_text(options.data or DEFAULTS.sources, options.vocabulary)
        losses = losses_of(options, pieces(text.windows, options.windows))
        next(losses)  # not counted: the first step makes the optimizer's state

        def measure() -> Measure:
            watch = Stopwatch()
            taken = list(islice(losses, options.steps))
            return watch.rate(options.steps * options.windows * CONTEXT, loss=sum(taken) / len(taken))

        return measure

    return prepare


if __name__ == "__main__":
    serve({"mtlkit": prepared(ours), "gpt2": prepared(gpt2), "nanogpt": prepared(nanogpt)})
