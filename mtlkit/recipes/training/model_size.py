"""Checks that a model fits into the memory of the machine, before anything is allocated or read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from mtlkit.config.architecture import Architecture, parse_head
from mtlkit.config.pooling import WEIGHTED
from mtlkit.errors import UsageError

TRAINED_BYTES = 16  # per float32 parameter: its value, its gradient and the two moments of AdamW
GIB = 2**30
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of containers, version 2 and 1


def check_size(architecture: Architecture, heads: Iterable[str], *, fresh: bool = True) -> None:
    """Raises UsageError if training needs more than the memory of the machine. `heads` are values of `--head`. `fresh`: counts
    the backbone, too; one that is loaded is known to fit.
    """
    widths = [(architecture.vector_dim, *parse_head(head), 1) for head in heads]
    of_heads = sum(below * above for head in widths for below, above in pairwise(head))
    parameters = of_heads + (parameters_of(architecture) if fresh else 0)
    needed, memory = parameters * TRAINED_BYTES, machine_memory()
    if memory is not None and needed > memory:
        shape = f"{architecture.layers} layers of width {architecture.dim}, {architecture.vocab_size:,} tokens"
        what = f"a model of {shape}" if fresh else f"a --head on vectors of {architecture.vector_dim} numbers"
        way = "give smaller --layers, --dim, --head or --vocab-size" if fresh else "give smaller widths"
        raise UsageError(
            f"{what} has {parameters:,} parameters and takes {needed / GIB:,.0f} GiB to train, but this machine has "
            f"{memory / GIB:,.0f} GiB; {way}"
        )


def parameters_of(architecture: Architecture) -> int:
    """The number of parameters of an encoder."""
    dim, narrow, hidden, blocks = architecture.dim, architecture.token_dim, architecture.mlp_dim, architecture.blocks
    keys, wide = dim // architecture.heads * (blocks.kv_heads or architecture.heads), hidden * (2 if blocks.gated else 1)
    attention = 2 * dim * (dim + keys) + (2 * dim + 2 * keys if blocks.attention_bias else 0)
    mlp = dim * (wide + hidden) + (wide if blocks.expand_bias else 0) + (dim if blocks.contract_bias else 0)
    norm = 2 if blocks.norms_have_bias else 1
    positions = 0 if blocks.rotary else architecture.max_length + (architecture.padding_id is not None)
    embeddings = (architecture.vocab_size + positions) * narrow
    embeddings += architecture.position_buckets * architecture.heads
    embeddings += norm * narrow if architecture.embedding_norm else 0
    embeddings += (narrow + 1) * dim if architecture.widens else 0
    pooling = norm * dim if architecture.norm == "pre" else 0
    pooling += architecture.vocab_size if architecture.pooling == WEIGHTED else 0
    inputs = [architecture.pooled_dim, *(shape.width for shape in architecture.dense)]
    layers = zip(inputs, architecture.dense, strict=False)
    pooling += sum(((1 if shape.norm else below) + shape.bias) * shape.width for below, shape in layers)
    norms = 2 * len(architecture.repeats) - (not blocks.first_norm)
    return embeddings + len(architecture.repeats) * (attention + mlp) + norms * norm * dim + pooling


def machine_memory() -> int | None:
    """The memory of this machine, or of the container, in bytes; None if it is unknown."""
    limits: list[int] = []
    with suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in CGROUPS:
        with suppress(OSError, ValueError):  # "max" where there is no limit
            limits.append(int(Path(name).read_text()))
    return min((limit for limit in limits if limit > 0), default=None)
