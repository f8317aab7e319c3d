"""Caches the outputs of frozen layers: sentence vectors, or the hidden states of all tokens at some block.

The cache is in memory up to a limit. The rest is in files next to the runs, which other trainings with the same backbone and
data reuse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlkit.data.batching import cut_by_tokens
from mtlkit.data.encoded import Encoded
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all, encode_hidden_states
from mtlkit.inference.engine import Array
from mtlkit.inference.fast import SupportsEncode, fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import part_of
from mtlkit.progress import count, counting
from mtlkit.training.freezing.apply import digest
from mtlkit.training.freezing.cache_files import DiskRows, kept_rows
from mtlkit.training.freezing.features import FeatureStore, MemoryStore, TokenStore
from mtlkit.training.freezing.rules import prefix_of
from mtlkit.training.incidents import FeaturesCached

FORMAT = 2  # incremented when the stored content changes
PART_BYTES = 2**27  # rows buffered in memory before they are written


@dataclass(frozen=True)
class FeatureCache:
    """Cached outputs of frozen layers, by task: `texts` texts, `size` bytes in total. `files` hold what does not fit in memory;
    `found` is the number of texts that were already in such files.
    """

    stores: dict[str, FeatureStore] = field(default_factory=dict)
    texts: int = 0
    size: int = 0
    files: tuple[Path, ...] = ()
    found: int = 0

    def event(self, texts: int, depth: int | None = None) -> FeaturesCached:
        """The event for the user; `texts` is the total number of encoded texts."""
        folder = str(self.files[0].parent.parent) if self.files else None
        return FeaturesCached(texts, self.size, depth, folder, len(self.files) < len(self.stores), self.found)


def cache_vectors(
    model: MultiTaskModel, encoded: Mapping[str, Encoded], compute: Compute, place: Path | None, limit: int
) -> FeatureCache:
    """Caches the vectors of each task's texts, for a completely frozen backbone; used by `CachedVectors`.

    The smallest tasks are cached in memory, up to `limit` bytes in total, the others in files in `place` (None: all in memory).
    Sets the model to eval mode. Raises UsageError if files cannot be written.
    """
    return _keep(_FrozenLayers(model, compute, None), encoded, place, limit)


def cache_hidden_states(
    model: MultiTaskModel, encoded: Mapping[str, Encoded], compute: Compute, place: Path | None, limit: int, depth: int
) -> FeatureCache:
    """Like `cache_vectors`, but caches the input of block `depth` for all tokens, for a backbone that is frozen below it; used by
    `UpperBackbone`.
    """
    return _keep(_FrozenLayers(model, compute, depth), encoded, place, limit)


class _FrozenLayers:
    """The part of a backbone that never trains: all of it, or everything below block `depth`. Weights are packed only when it
    runs.
    """

    def __init__(self, model: MultiTaskModel, compute: Compute, depth: int | None) -> None:
        self.model, self.compute, self.depth = model.eval(), compute, depth

    @cached_property
    def fast(self) -> SupportsEncode:
        return fastest(self.model, self.compute)

    def rows(self, encoded: Encoded) -> int:
        return len(encoded) if self.depth is None else len(encoded.ids)

    def encode(self, encoded: Encoded) -> Tensor:
        """(N, D) vectors, or (T, D) hidden states."""
        if self.depth is None:
            return encode_all(self.fast, encoded, self.compute)
        return encode_hidden_states(self.fast, encoded, self.compute, self.depth)

    def parts(self, encoded: Encoded) -> Iterator[Array]:
        """The same in chunks of about PART_BYTES."""
        sizes = np.ones(len(encoded), np.int64) if self.depth is None else encoded.lengths
        for rows in cut_by_tokens(np.arange(len(encoded)), sizes, PART_BYTES // (4 * self.model.dim)):
            yield self.encode(encoded.between(int(rows[0]), int(rows[-1]) + 1)).cpu().numpy()

    @cached_property
    def identity(self) -> str:
        """Everything about the model and the machine that affects a vector."""
        below = {"embeddings", *(f"layers:{block}" for block in range(self.depth or 0))}
        weights = {
            name: weight
            for name, weight in self.model.state_dict().items()
            if name.startswith(prefix_of("backbone")) and (self.depth is None or part_of(name) in below)
        }
        architecture = replace(self.model.backbone.architecture, dropout=0.0, family=None)
        machine = f"{self.compute.precision} {self.compute.device.type} torch {torch.__version__}"
        return f"{FORMAT} {digest(weights)} {architecture} {self.depth} {machine}"

    def key(self, encoded: Encoded) -> str:
        """SHA-256 over the identity and the tokens."""
        total = hashlib.sha256(f"{self.identity} {encoded.ids.dtype}".encode())
        total.update(encoded.ids.tobytes())
        total.update(encoded.offsets.tobytes())
        if encoded.skip and self.depth is None:  # hidden states do not depend on pooling
            total.update(f"skip {encoded.skip}".encode())
        return total.hexdigest()


def _keep(frozen: _FrozenLayers, encoded: Mapping[str, Encoded], place: Path | None, room: int) -> FeatureCache:
    sizes = {name: 4 * frozen.model.dim * frozen.rows(each) for name, each in encoded.items()}
    stores: dict[str, FeatureStore] = {}
    files: list[Path] = []
    texts = sum(map(len, encoded.values()))
    found = 0
    with counting("encoding", "encoded", texts):
        for name in sorted(sizes, key=lambda name: sizes[name]):
            each = encoded[name]
            if place is None or sizes[name] <= room:
                room -= sizes[name]
                store: FeatureStore = MemoryStore(frozen.encode(each))
            else:
                shape = (frozen.rows(each), frozen.model.dim)
                rows, path, there = kept_rows(place, frozen.key(each), shape, lambda each=each: frozen.parts(each))  # type: ignore[misc]
                store = DiskRows(rows, frozen.compute.device)
                files.append(path)
                if there:
                    found += len(each)
                    count("encoded", len(each))
            stores[name] = store if frozen.depth is None else TokenStore(store, each)
    return FeatureCache(stores, texts, sum(sizes.values()), tuple(files), found)
