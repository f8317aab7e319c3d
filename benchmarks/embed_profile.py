"""Where the time of embedding goes: the share of each part in the CPU time of some texts, on one thread.

Functions are timed, without those that they call and that are timed, too. Products include what is fused with them: biases,
residual additions, activations.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from compare import PACKAGED, describe, model_folder, parser, positive
from torch import nn

import mtlkit
from mtlkit.data.datasets.corpus import read_texts
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.inference.engines import fast
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.model.kernels import PackedByteLinear, PackedLinear
from mtlkit.model.layouts import GroupedLayout

PRODUCTS, ATTENTION, NORMS, BLOCKS = "products", "attention", "norms", "rounding to bytes, other work of blocks"
OUTSIDE, TOKENIZING = "embeddings, pooling, batches", "tokenizing"
PARTS = (PRODUCTS, ATTENTION, NORMS, BLOCKS, OUTSIDE, TOKENIZING)
TIMED: list[tuple[str, Any, tuple[str, ...]]] = [  # part, owner and names of functions
    (PRODUCTS, PackedLinear, ("__call__", "add", "times")),
    (PRODUCTS, PackedByteLinear, ("__call__", "gelu", "add_to")),
    (ATTENTION, GroupedLayout, ("attend",)),
    (NORMS, nn.LayerNorm, ("forward",)),
    (BLOCKS, fast.FastEncoder, ("_through",)),
    (OUTSIDE, LoadedModel, ("vectors",)),
]


class Times:
    """The CPU seconds of parts."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.inner = [0.0]  # seconds of timed functions that each running one has called

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, whose own time counts for a part."""

        def call(*args: Any, **named: Any) -> Any:
            self.inner.append(0.0)
            start = time.thread_time()
            try:
                return function(*args, **named)
            finally:
                spent = time.thread_time() - start
                self.seconds[part] += spent - self.inner.pop()
                self.inner[-1] += spent

        return call

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Times what runs in the block."""
        with contextlib.ExitStack() as stack:
            for part, owner, names in TIMED:
                for name in names:
                    stack.enter_context(patch.object(owner, name, self.timed(part, getattr(owner, name))))
            yield


def seconds_of(model: LoadedModel, texts: list[str], rounds: int) -> dict[str, float]:
    """The CPU seconds of each part, the median of some rounds."""
    model.embed(texts)
    taken = []
    for _ in range(rounds):
        times, started = Times(), time.process_time()
        encoded = model.encode(texts)  # by threads of the tokenizer
        times.seconds[TOKENIZING] = time.process_time() - started
        with times.watching():
            model.vectors(encoded)
        taken.append(times.seconds)
    return {part: median(each[part] for each in taken) for part in PARTS}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", action="append", metavar="NAME", help=f"repeatable (default: the one in {PACKAGED}, and mini)")
    made.add_argument("--precision", action="append", help="repeatable (default: fp32, bf16, int8)")
    made.add_argument("--data", default="sample:topic", metavar="SOURCE", help="texts that mtlkit reads (default: %(default)s)")
    made.add_argument("--limit", type=positive, default=128, help="texts (default: %(default)s)")
    options = made.parse_args()
    torch.set_num_threads(1)
    describe(["torch", "tokenizers"], 1)
    texts = list(read_texts(options.data, ReadOptions("utf-8", "error", SkippedRows())))[: options.limit]
    for name in options.model or [str(model_folder(None)), "mini"]:
        for precision in options.precision or ["fp32", "bf16", "int8"]:
            seconds = seconds_of(mtlkit.load(name, device="cpu", precision=precision), texts, options.rounds)
            total = sum(seconds.values())
            print(f"{name}, {precision}: {total:.3f} CPU seconds for {len(texts)} texts")
            for part in PARTS:
                print(f"  {part:<40} {100 * seconds[part] / total:5.1f} %")


if __name__ == "__main__":
    main()
