"""How much of a search smaller vectors keep: recall@10 of `embed --dtype` against float32, by cosine, on real texts.

For each query, the 10 nearest texts by float32 vectors are what is to be found. `in 100` counts how many of them are among the
first 100, from which a second step with float32 vectors could choose.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mtlkit
from mtlkit.config.commands.embed import VectorType
from mtlkit.data.outputs.columns import VectorColumn, quantized
from mtlkit.data.sources.text_files import read_column

TYPES: tuple[VectorType, ...] = ("float16", "int8", "binary")
NEAREST, CANDIDATES = 10, 100


def options() -> Namespace:
    made = ArgumentParser(description=__doc__)
    made.add_argument("--data", required=True, metavar="FILE", help="texts to search in")
    made.add_argument("--queries", required=True, metavar="FILE", help="texts to search with")
    made.add_argument("--model", default="mini", help="(default: %(default)s)")
    made.add_argument("--count", type=int, default=500, help="queries (default: %(default)s)")
    return made.parse_args()


def restored(vectors: NDArray[np.float32], kind: VectorType) -> NDArray[np.float32]:
    """Vectors (N, dim) as they are read back, of length 1; bits as -1 and 1, whose cosine orders as their Hamming distance."""
    stored: NDArray[Any]
    stored, scales = quantized(vectors, kind)
    if kind == "binary":
        stored = np.unpackbits(stored, axis=1)[:, : vectors.shape[1]].astype(np.float32) * 2 - 1
    elif scales is not None:
        stored = stored * scales[:, None]
    unit: NDArray[np.float32] = stored.astype(np.float32) / np.linalg.norm(stored.astype(np.float32), axis=1, keepdims=True)
    return unit


def nearest(queries: NDArray[np.float32], texts: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The numbers of the nearest texts, (queries, count); of equally near ones, the lower numbers."""
    return np.argsort(-(queries @ texts.T), axis=1, kind="stable")[:, :count]


def recall(wanted: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """The share of the wanted texts that were found."""
    return float(np.mean([len(np.intersect1d(*pair)) / len(pair[0]) for pair in zip(wanted, found, strict=True)]))


def main() -> None:
    asked = options()
    model = mtlkit.load(asked.model)
    texts = model.embed(list(read_column(asked.data, None, None)))
    queries = model.embed(list(read_column(asked.queries, None, None))[: asked.count])
    print(f"{asked.model}: {len(queries):,} queries, {len(texts):,} texts, {texts.shape[1]} dimensions")
    wanted = nearest(restored(queries, "float32"), restored(texts, "float32"), NEAREST)
    for kind in TYPES:
        found = nearest(restored(queries, kind), restored(texts, kind), CANDIDATES)
        column = VectorColumn(texts.shape[1], kind)
        size = column.width * column.numpy_type.itemsize + (4 if column.scaled else 0)
        at_ten, in_hundred = recall(wanted, found[:, :NEAREST]), recall(wanted, found)
        print(f"{kind}: {size} bytes, recall@{NEAREST} {at_ten:.4f}, in {CANDIDATES} {in_hundred:.4f}")


if __name__ == "__main__":
    main()
