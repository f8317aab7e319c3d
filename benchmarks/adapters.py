"""What an adapter costs against training the whole backbone: a table for docs/concepts/adapters.md.

    python benchmarks/adapters.py [--model MODEL] [--steps N]

Each way takes the same optimizer steps on a batch of 2,048 tokens (32 texts of 64), with a head of six classes. MODEL is a run, a
folder or `mini`; `minilm` is an encoder of MiniLM's shape with random weights. Time is CPU time on one thread, memory is what the
optimizer and the gradients hold, and the checkpoint is what --resume needs: trained weights with their moments, and the best
ones.
"""

from __future__ import annotations

import argparse
import time
from copy import deepcopy
from statistics import median

import numpy as np
import torch

import mtlkit
from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.registries.adapters import parse_adapter
from mtlkit.data.encoded import Encoded
from mtlkit.inference.engines.torch_engine import TorchEngine
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.optimizer import make_optimizer

TEXTS, LENGTH, WARM = 32, 64, 2
MINILM = Architecture(
    30522, 6, 384, 12, 512, "bidirectional", norm="post", embedding_norm=True, hidden=1536, epsilon=1e-12, family="bert"
)
TASK = TaskSpec("task", "classification", tuple("abcdef"))


def backbone(name: str) -> Encoder:
    if name == "minilm":
        return Encoder(MINILM)
    engine = mtlkit.load(name).engine
    assert isinstance(engine, TorchEngine)
    encoder = engine.model.backbone
    assert isinstance(encoder, Encoder)
    return encoder


def measured(encoder: Encoder, adapter: str | None, steps: int) -> list[str]:
    """The cells of a row: trained weights, memory of the optimizer and gradients, size of a checkpoint, CPU time of a step."""
    torch.manual_seed(0)
    model = MultiTaskModel(deepcopy(encoder), [TASK])
    if adapter is not None:
        model.backbone.requires_grad_(False)
        model.add_adapter(TASK.name, parse_adapter(adapter).of(encoder.architecture.repeats))
    ids = np.random.default_rng(0).integers(5, encoder.architecture.vocab_size, TEXTS * LENGTH).astype(np.uint16)
    batch = Encoded(ids, np.arange(0, len(ids) + 1, LENGTH), 0).batch(np.arange(TEXTS))
    labels, weights = torch.arange(TEXTS) % len(TASK.labels), dict(model.named_parameters())
    optimizer = make_optimizer(weights, 0.01)
    seconds = []
    for _ in range(WARM + steps):
        started = time.process_time()
        model.head(TASK.name).loss(model(batch, TASK.name), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        held = sum(weight.grad.nbytes for weight in weights.values() if weight.grad is not None)
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.process_time() - started)
    held += sum(value.nbytes for state in optimizer.state.values() for value in state.values())
    trained = sum(weight.numel() for weight in weights.values() if weight.requires_grad)
    checkpoint = 4 * 4 * trained  # in float32: the weights, two moments, and the best weights so far
    milliseconds = 1000 * median(seconds[WARM:])
    return [f"{trained:,}", f"{held / 1e6:,.1f} MB", f"{checkpoint / 1e6:,.1f} MB", f"{milliseconds:,.0f} ms"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--steps", type=int, default=10)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    encoder = backbone(asked.model)
    upper = encoder.architecture.layers // 2
    ways = {
        "whole backbone": None,
        "`lora:8`": "lora:8",
        f"`lora:8@layers:{upper}-{encoder.architecture.layers - 1}`": f"lora:8@layers:{upper}-{encoder.architecture.layers - 1}",
        "`lora:64`": "lora:64",
    }
    print(f"| {asked.model} | trained weights | optimizer and gradients | checkpoint | CPU time of a step |")
    print("|---|---|---|---|---|")
    for way, adapter in ways.items():
        print(f"| {' | '.join([way, *measured(encoder, adapter, asked.steps)])} |", flush=True)


if __name__ == "__main__":
    main()
