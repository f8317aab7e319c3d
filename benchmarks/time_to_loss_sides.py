"""What `time_to_loss.py` runs as a process: SETTINGS, in JSON. Trains one side and prints its CPU seconds and held-out loss."""

from __future__ import annotations

import io
import json
import math
import sys
import time
from argparse import Namespace
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pretrain_sides import CONTEXT, Corpus, by_hand, import_file, pieces, read_text
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.config.architecture import SIZES
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.data.windows import Pieces, WindowSampler
from mtlkit.inference.compute import choose_compute
from mtlkit.model.language import token_losses
from mtlkit.recipes.training.base_start import fresh_start
from mtlkit.training.objectives.language import NextToken
from mtlkit.training.pretraining import Pretraining, window_batch

VOCABULARY, HELD_OUT = 8192, 400  # tokens, texts
PER_BATCH, TRIAL = 16, 8  # windows of a batch in evaluation; steps whose speed sets the number of all
WINDOWS, PEAK, LAST, WARMUP, BETAS, DECAY = 12, 1e-3, 1e-4, 100, (0.9, 0.99), 0.1  # nanoGPT's for small models

Losses = Callable[[NDArray[np.int64], NDArray[np.int64]], Tensor]


def held_out_loss(ids: NDArray[np.unsignedinteger], losses: Losses) -> float:
    """The mean loss in nats of the tokens of full windows."""
    windows, total = WindowSampler(ids, CONTEXT), 0.0
    whole = Pieces(np.arange(len(windows)) * CONTEXT, np.full(len(windows), CONTEXT))
    with torch.no_grad():
        for first in range(0, len(windows), PER_BATCH):
            total += float(losses(*windows.take(whole.between(first, first + PER_BATCH))).sum())
    return total / (len(windows) * CONTEXT)


def ours(settings: Namespace, text: Corpus) -> tuple[float, Losses]:
    """CPU seconds of the steps of `mtlkit pretrain`, and the losses of what it trained."""
    compute = choose_compute("cpu", "auto")
    told = dict(pair.split("=", 1) for pair in settings.options.split())
    given = {name: value if not value[0].isdigit() else json.loads(value) for name, value in told.items()}
    options = PretrainOptions(size=settings.size, seed=settings.seed, context=CONTEXT, vocab_size=VOCABULARY, **given)

    def trained(tokens: int) -> tuple[float, NextToken, Pretraining]:
        start = fresh_start(replace(options, tokens=tokens), text.encoder.tokenizer, compute)
        training = Pretraining(start.objective, text.windows, replace(options, tokens=tokens), compute)
        began = time.process_time()
        for _ in training.events(io.StringIO()):
            pass
        assert isinstance(start.objective, NextToken)
        return time.process_time() - began, start.objective, training

    seconds, _, trial = trained(TRIAL * options.batch_tokens)
    steps = settings.share * settings.budget / seconds * trial.steps
    seconds, objective, _ = trained(round(steps) * options.batch_tokens)
    objective.model.eval()

    def losses(ids: NDArray[np.int64], targets: NDArray[np.int64]) -> Tensor:
        return token_losses(objective.encoder, *window_batch(ids, targets, CONTEXT, compute.device), objective.head)

    return seconds, losses


def nanogpt(settings: Namespace, text: Corpus) -> tuple[float, Losses]:
    """The same of nanoGPT, with a loop as in its train.py."""
    theirs = import_file("nanogpt_model", Path(settings.nanogpt) / "model.py")
    layers, dim, heads = SIZES[settings.size]
    config = theirs.GPTConfig(
        block_size=CONTEXT,
        vocab_size=text.encoder.tokenizer.get_vocab_size(),
        n_layer=layers,
        n_head=heads,
        n_embd=dim,
        dropout=0.0,
    )

    def trained(steps: int) -> tuple[float, nn.Module]:
        torch.manual_seed(settings.seed)
        model: nn.Module = theirs.GPT(config).train()
        optimizer: torch.optim.Optimizer = model.configure_optimizers(DECAY, PEAK, BETAS, "cpu")  # type: ignore[operator]
        work, began = pieces(text.windows, WINDOWS, settings.seed), time.process_time()
        losses = by_hand(model, optimizer, lambda ids, targets: model(ids, targets)[1], lambda step: rate(step, steps), work)
        deque(islice(losses, steps), 0)
        return time.process_time() - began, model.eval()

    seconds, _ = trained(TRIAL)
    seconds, model = trained(round(settings.budget / seconds * TRIAL))

    def losses(ids: NDArray[np.int64], targets: NDArray[np.int64]) -> Tensor:
        wanted = torch.from_numpy(targets)
        logits = model(torch.from_numpy(ids).view(-1, CONTEXT), wanted.view(-1, CONTEXT))[0]
        return functional.cross_entropy(logits.flatten(0, 1), wanted, reduction="none")

    return seconds, losses


def rate(step: int, steps: int) -> float:
    """The learning rate of nanoGPT: linear warm-up, then half a cosine."""
    if step < WARMUP:
        return PEAK * (step + 1) / (WARMUP + 1)
    done = (step - WARMUP) / max(1, steps - WARMUP)
    return LAST + (PEAK - LAST) * (1 + math.cos(math.pi * done)) / 2


def main(settings: Namespace) -> dict[str, Any]:
    torch.set_num_threads(int(settings.threads))
    text = read_text(settings.source, VOCABULARY)
    seconds, losses = {"mtlkit": ours, "nanogpt": nanogpt}[settings.side](settings, text)
    return {"cpu": round(seconds, 1), "loss": held_out_loss(text.encoder.stream(text.held_out[:HELD_OUT]).ids, losses)}


if __name__ == "__main__":
    print(json.dumps(main(Namespace(**json.loads(sys.argv[1])))))
