"""Caches the outputs of frozen layers: sentence vectors, or the hidden states of all tokens at some block.

The cache is in memory up to a limit. The rest is in files beside the runs, which other trainings with the same backbone and data
reuse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from dataclasses import fields as dataclass_fields
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mtlkit.config.architecture import Architecture
from mtlkit.config.registries.adapters import SHARED
from mtlkit.data.batching import cut_by_tokens
from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import vector_width
from mtlkit.inference.engines.base import Array
from mtlkit.inference.engines.fast import SupportsEncode, fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import SECOND_TYPE, part_of
from mtlkit.runs.store import FEATURES, RowStream, Stored, StoreEntry, entry_in, has_shape
from mtlkit.training.distributed.encoding import encode_hidden_states_shared, encode_shared
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.freezing.apply import digest
from mtlkit.training.freezing.features import DiskStore, FeatureStore, MemoryStore, TokenStore
from mtlkit.training.freezing.rules import prefix_of
from mtlkit.training.incidents import FeaturesCached

FORMAT = 2  # incremented when the stored content changes
PART_BYTES = 2**27  # rows computed at a time


@dataclass(frozen=True)
class FeatureCache:
    """Cached outputs of frozen layers, by task, for `texts` texts; `size` bytes in total.

    `files` contain what does not fit in memory; the outputs for `reused` texts were already in them.
    """

    stores: dict[str, FeatureStore] = field(default_factory=dict)
    texts: int = 0
    size: int = 0
    files: tuple[Path, ...] = ()
    reused: int = 0

    def event(self, texts: int, depth: int | None = None) -> FeaturesCached:
        """The event for the user; `texts` is the total number of encoded texts."""
        folder = str(self.files[0].parent.parent) if self.files else None
        return FeaturesCached(texts, self.size, depth, folder, len(self.files) < len(self.stores), self.reused)


def cache_vectors(
    model: MultiTaskModel,
    encoded: Mapping[str, Encoded],
    compute: Compute,
    folder: Path | None,
    limit: int,
    *,
    ranks: Ranks = ALONE,
) -> FeatureCache:
    """Caches the vectors of each task's texts, for `CachedVectors` with a completely frozen backbone.

    The smallest tasks are cached in memory, up to `limit` bytes in total, the others in files in `folder` (None: all in memory).
    Several processes, `ranks`, encode a part each. Sets the model to eval mode. Raises UsageError if a file cannot be written.
    """
    return _fill(_FrozenLayers(model, compute, None, ranks), encoded, folder, limit)


def cache_hidden_states(
    model: MultiTaskModel,
    encoded: Mapping[str, Encoded],
    compute: Compute,
    folder: Path | None,
    limit: int,
    depth: int,
    *,
    ranks: Ranks = ALONE,
) -> FeatureCache:
    """Like `cache_vectors`, but caches the hidden states of all tokens at the input of block `depth`, for `UpperBackbone`."""
    return _fill(_FrozenLayers(model, compute, depth, ranks), encoded, folder, limit)


class _FrozenLayers:
    """The part of a backbone that never trains: all of it, or (with `depth`) everything below that block."""

    def __init__(self, model: MultiTaskModel, compute: Compute, depth: int | None, ranks: Ranks = ALONE) -> None:
        self.model, self.compute, self.depth, self.ranks = model.eval(), compute, depth, ranks

    @cached_property
    def fast(self) -> SupportsEncode:
        return fastest(self.model, self.compute)

    def shape(self, encoded: Encoded) -> tuple[int, int]:
        """The shape of the outputs: a row per text or word, or per token."""
        if self.depth is None:
            return encoded.vectors, vector_width(self.model, encoded)
        return len(encoded.ids), self.model.architecture.dim

    def encode(self, encoded: Encoded, ranks: Ranks = ALONE) -> Tensor:
        """The outputs: vectors, (N, V), or hidden states, (T, D)."""
        if self.depth is None:
            return encode_shared(self.fast, encoded, self.compute, ranks)
        return encode_hidden_states_shared(self.fast, encoded, self.compute, self.depth, ranks)

    def parts(self, encoded: Encoded, ranks: Ranks = ALONE) -> Iterator[Array]:
        """The outputs in chunks of about PART_BYTES."""
        sizes = np.ones(len(encoded), np.int64) if self.depth is None else encoded.lengths
        for rows in cut_by_tokens(np.arange(len(encoded)), sizes, PART_BYTES // (4 * self.shape(encoded)[1])):
            yield self.encode(encoded.between(int(rows[0]), int(rows[-1]) + 1), ranks).cpu().numpy()

    def stored(self, entry: StoreEntry, encoded: Encoded) -> Stored:
        """The outputs in an entry of the store. If it is missing, all ranks compute them and the first writes them."""
        shape = self.shape(encoded)
        if self.ranks.size > 1 and self.ranks.from_main(not entry.path.exists()):
            shared = partial(self.parts, encoded, self.ranks)
            if self.ranks.is_main:
                stored = stored_rows(entry, shape, shared)
                self.ranks.agreed(None)
                return stored
            for _ in shared():
                pass
            self.ranks.agreed(None)
        return stored_rows(entry, shape, partial(self.parts, encoded))  # alone where ranks do not see the same files

    @cached_property
    def identity(self) -> str:
        """Everything but tokens and types that affects an output: weights, architecture, depth, precision, device, torch."""
        below = {"embeddings", *(f"layers:{block}" for block in range(self.depth or 0))}
        weights = {
            name: weight
            for name, weight in self.model.state_dict().items()
            if name.startswith(prefix_of("backbone")) and (self.depth is None or part_of(name) in below) and name != SECOND_TYPE
        }
        adapted = ""
        if self.depth is None and SHARED in self.model.adapters:
            weights |= {f"adapter.{name}": weight for name, weight in self.model.adapters[SHARED].state_dict().items()}
            adapted = f" {self.model.adapter_specs[SHARED]}"
        own = replace(self.model.backbone.architecture, dropout=0.0, family=None)
        names = [field.name for field in dataclass_fields(Architecture)]
        later = names[names.index("token_types") :]  # those count only where they are used, so that older features are found
        unused = {field.name for field in dataclass_fields(Architecture) if getattr(own, field.name) == field.default}
        unused.add("token_types")  # see `key`
        fields = ", ".join(f"{name}={value!r}" for name, value in asdict(own).items() if name not in unused.intersection(later))
        machine = f"{self.compute.precision} {self.compute.device.type} torch {torch.__version__}"
        return f"{FORMAT} {digest(weights)} Architecture({fields}) {self.depth} {machine}{adapted}"

    def key(self, encoded: Encoded) -> str:
        """The key of the outputs in the store: SHA-256 over the identity and the tokens."""
        total = hashlib.sha256(f"{self.identity} {encoded.ids.dtype}".encode())
        total.update(encoded.ids.tobytes())
        total.update(encoded.offsets.tobytes())
        if encoded.types is not None:
            types = {name: weight for name, weight in self.model.state_dict().items() if name == SECOND_TYPE}
            total.update(f"types {digest(types)}".encode() + encoded.types.tobytes())
        if encoded.skip and self.depth is None:  # hidden states do not depend on pooling
            total.update(f"skip {encoded.skip}".encode())
        if isinstance(encoded, EncodedWords) and self.depth is None:
            total.update(b"words" + encoded.first.tobytes())
        return total.hexdigest()


def _fill(frozen: _FrozenLayers, encoded: Mapping[str, Encoded], folder: Path | None, free: int) -> FeatureCache:
    """Computes or reads the outputs for each task, the smallest first; `free` is the number of bytes for those in memory."""
    sizes = {name: _size(frozen.shape(texts)) for name, texts in encoded.items()}
    stores: dict[str, FeatureStore] = {}
    files: list[Path] = []
    reused = 0
    for name in sorted(sizes, key=lambda name: sizes[name]):
        texts = encoded[name]
        if folder is None or sizes[name] <= free:
            free -= sizes[name]
            store: FeatureStore = MemoryStore(frozen.encode(texts, frozen.ranks))
        else:
            entry = entry_in(folder / FEATURES, FEATURES, frozen.key(texts))
            stored = frozen.stored(entry, texts)
            store = DiskStore(stored.arrays["rows"], frozen.compute.device)
            files.append(entry.path)
            reused += stored.reused * len(texts)
        stores[name] = store if frozen.depth is None else TokenStore(store, texts)
    return FeatureCache(stores, sum(map(len, encoded.values())), sum(sizes.values()), tuple(files), reused)


def stored_rows(entry: StoreEntry, shape: tuple[int, int], parts: Callable[[], Iterable[Array]]) -> Stored:
    """The float32 array `rows` of an entry, memory-mapped; computed by `parts` if it is not stored yet.

    Raises UsageError if the file cannot be written. Using memory instead would fail later, as the rows do not fit there.
    """
    try:
        return entry.get_mapped(
            lambda: {"rows": RowStream(shape, parts())}, lambda arrays: has_shape(arrays.get("rows"), "<f4", *shape)
        )
    except OSError as error:
        raise UsageError(
            f"cannot write {_size(shape) / 1e6:,.1f} MB of cached features to {entry.path.parent}: {error.strerror or error}; "
            "free some space, keep more in memory with --cache-memory, or choose another folder with --out"
        ) from None


def _size(shape: tuple[int, int]) -> int:
    """The number of bytes of a float32 array."""
    return 4 * shape[0] * shape[1]
