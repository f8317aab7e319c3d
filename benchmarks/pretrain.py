"""How fast a base is pretrained: tokens/s of mtlkit against an AdamW loop over transformers' GPT2LMHeadModel.

Higher is better. Both have 4 layers of 256, 4 heads, context 256, exact GELU, a tied output layer, dropout in the same
places (none inside attention), fp32, fused AdamW, gradient clipping, and see the same windows of text in the same order.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np
import torch
from compare import Measure, Side, Stopwatch, compare, describe, parser, positive
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from mtlkit.config.architecture import Architecture, Encoding
from mtlkit.config.training import PretrainOptions
from mtlkit.data.batching import Windows
from mtlkit.data.corpus import read_corpus
from mtlkit.data.tokenizer import TextEncoder, train_tokenizer
from mtlkit.inference.compute import choose_compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.language import next_token_loss
from mtlkit.recipes.perplexity import window_batch
from mtlkit.training.loop import train
from mtlkit.training.optimizer import LearningRate

LAYERS, DIM, HEADS, CONTEXT = 4, 256, 4, 256
DEFAULTS = PretrainOptions()

Piece = tuple[np.ndarray, np.ndarray]


def read_windows(sources: list[str], vocabulary: int) -> Windows:
    """The texts as one packed stream, cut by a tokenizer that was trained on them. Little text fills less of the vocabulary;
    the models have all of it."""
    texts, _, _ = read_corpus(sources, "utf-8", "error", 0)
    encoder = TextEncoder(train_tokenizer(texts, vocabulary), Encoding(CONTEXT))
    return Windows(encoder.stream(texts).ids, CONTEXT)


def pieces(windows: Windows, per_step: int) -> Iterator[Piece]:
    """Ids and targets of full steps, epoch after epoch, without end."""
    if len(windows) <= per_step:
        raise SystemExit(f"{len(windows)} windows of {CONTEXT} tokens are too few for steps of {per_step}; give more text")
    epoch = 0
    while True:
        batches, shift = windows.epoch(epoch, 0, per_step)
        yield from (windows.take(batch, shift) for batch in batches if len(batch) == per_step)
        epoch += 1


def steps_of_ours(windows: Windows, vocabulary: int, per_step: int, total: int) -> Iterator[float]:
    """Trains as `mtlkit pretrain` does and yields the loss of each step."""
    torch.manual_seed(0)
    compute = choose_compute("cpu", "fp32")
    model = Encoder(Architecture(vocabulary, LAYERS, DIM, HEADS, CONTEXT, dropout=DEFAULTS.dropout)).train()

    def loss(piece: Piece) -> dict[str, Tensor]:
        batch, targets = window_batch(*piece, CONTEXT, compute.device)
        return {"next token": next_token_loss(model, batch, targets)}

    rate = LearningRate(DEFAULTS.learning_rate, total, DEFAULTS.warmup)
    work = pieces(windows, per_step)
    for step in train(model, work, loss, rate, weight_decay=DEFAULTS.weight_decay, clip=DEFAULTS.clip, compute=compute):
        yield step.losses["next token"]


def steps_of_theirs(windows: Windows, vocabulary: int, per_step: int, total: int) -> Iterator[float]:
    """The loop that one writes by hand, with the same learning rates, and yields the loss of each step."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=vocabulary, n_positions=CONTEXT, n_embd=DIM, n_layer=LAYERS, n_head=HEADS, activation_function="gelu",
        embd_pdrop=DEFAULTS.dropout, resid_pdrop=DEFAULTS.dropout, attn_pdrop=0.0, use_cache=False,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=DEFAULTS.weight_decay, fused=True)
    rate = LearningRate(DEFAULTS.learning_rate, total, DEFAULTS.warmup)
    for index, (ids, _) in enumerate(pieces(windows, per_step)):
        for group in optimizer.param_groups:
            group["lr"] = rate.at(index)
        batch = torch.from_numpy(ids).view(per_step, CONTEXT)
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), DEFAULTS.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield loss.item()


def timer(losses: Iterator[float], steps: int, tokens: int) -> Callable[[], Measure]:
    """Measures the next `steps` steps of a training each time it is called."""

    def run() -> Measure:
        watch = Stopwatch()
        taken = list(islice(losses, steps))
        return watch.rate(steps * tokens, loss=sum(taken) / steps)

    return run


def compare_at(vocabulary: int, options: argparse.Namespace) -> None:
    windows = read_windows(options.data or DEFAULTS.sources, vocabulary)
    total = options.steps * options.rounds + 1
    print(
        f"\nvocabulary {vocabulary:,}: {len(windows.ids):,} tokens of text, "
        f"{options.steps} steps a round of {options.windows * CONTEXT:,} tokens"
    )
    sides = []
    for name, steps_of in (("mtlkit", steps_of_ours), ("GPT2LMHeadModel", steps_of_theirs)):
        losses = steps_of(windows, vocabulary, options.windows, total)
        next(losses)  # not counted: the first step makes the optimizer's state
        sides.append(Side(name, timer(losses, options.steps, options.windows * CONTEXT)))
    compare(sides[0], sides[1], options.rounds, "tokens/s")


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--data", action="append", metavar="SOURCE", help="texts that mtlkit reads; repeatable (default: samples)")
    made.add_argument("--vocabulary", type=positive, nargs="+", default=[8192, 16384], help="sizes (default: 8192 16384)")
    made.add_argument("--windows", type=positive, default=8, help="windows a step (default: %(default)s)")
    made.add_argument("--steps", type=positive, default=5, help="steps a round (default: %(default)s)")
    options = made.parse_args()
    torch.set_num_threads(options.threads)
    describe(["torch", "transformers"], options.threads)
    for vocabulary in options.vocabulary:
        compare_at(vocabulary, options)


if __name__ == "__main__":
    main()
