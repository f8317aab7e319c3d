"""Vectors of a teacher for distillation: computed once, cached, and rotated so that the first dimensions hold the most
variance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.data.cache import fingerprint
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.inference.compute import choose_compute
from mtlkit.inference.find_model import find_model
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.model.digest import digest_of
from mtlkit.progress import count, counting
from mtlkit.recipes.inputs.texts import PART_TEXTS
from mtlkit.runs.store import TEACHER, Arrays, Stored, StoreEntry, cache_key, has_shape, user_entry

FORMAT = "2"  # incremented when the stored arrays change
SAMPLE = 100_000  # vectors from which principal axes are computed
Vectors = NDArray[np.float16]


@dataclass(frozen=True)
class Teacher:
    """A model whose vectors a student learns."""

    model: LoadedModel
    digest: str
    precision: str

    @property
    def record(self) -> dict[str, str]:
        """The description of the teacher in the record of a run."""
        return {"path": self.model.name, "digest": self.digest, "precision": self.precision}

    def entry(self, texts: Sequence[str]) -> StoreEntry:
        """The cache file of the vectors of these texts."""
        model = self.model
        settings = (self.digest, self.precision, model.encoder.prompt, str(model.dim))
        return user_entry(TEACHER, cache_key(FORMAT, *settings, fingerprint(texts)))

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """Vectors of length 1 in half precision, (N, dim), computed in parts; parts that are on disk are read."""
        with counting("encoding with the teacher", "encoded", len(texts)):
            return np.concatenate(list(self._parts(texts)))

    def _parts(self, texts: Sequence[str]) -> Iterator[Vectors]:
        for start in range(0, len(texts), PART_TEXTS):
            part = texts[start : start + PART_TEXTS]
            stored = self._vectors(part)
            if stored.reused:
                count("encoded", len(part))
            yield stored.arrays["vectors"]

    def _vectors(self, texts: Sequence[str]) -> Stored:
        def embed() -> Arrays:
            return {"vectors": self.model.embed(texts, normalize=True).astype(np.float16)}

        return self.entry(texts).get(embed, lambda arrays: has_shape(arrays.get("vectors"), "<f2", len(texts), self.model.dim))


def open_teacher(options: TrainSentenceOptions) -> Teacher:
    """The teacher that `--teacher` names. Raises UsageError, IntegrityError, NetworkError."""
    if options.teacher is None:
        raise UsageError("--objective distill needs a --teacher, such as --teacher sentence-transformers/all-MiniLM-L6-v2")
    model_ref = find_model(options.teacher, options.runs, ())
    loaded = load(model_ref.path, device=options.device, precision=options.teacher_precision)
    precision = options.teacher_precision
    resolved = choose_compute(options.device, "auto").precision if precision == "auto" else precision
    return Teacher(loaded, digest_of(model_ref.path), resolved)


def principal_axes(vectors: NDArray[np.floating], width: int) -> NDArray[np.float32]:
    """The principal axes of vectors, (N, dim), the largest first: (dim, width), with zeros beyond `dim`. This is PCA without
    centring, which would change cosines.
    """
    sample = vectors[:: math.ceil(len(vectors) / SAMPLE)].astype(np.float32)
    _, axes = np.linalg.eigh(sample.T @ sample)
    axes = axes[:, ::-1][:, :width]
    largest = axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])]
    axes = axes * np.where(largest < 0, -1, 1)  # so that signs do not depend on the library
    padded: NDArray[np.float32] = np.pad(axes, ((0, 0), (0, width - axes.shape[1]))).astype(np.float32)
    return padded


def turned(vectors: NDArray[np.floating], axes: NDArray[np.float32]) -> NDArray[np.float16]:
    """The coordinates of vectors, (N, dim), along axes, (dim, width): (N, width)."""
    parts = [vectors[start : start + PART_TEXTS].astype(np.float32) @ axes for start in range(0, len(vectors), PART_TEXTS)]
    return np.concatenate(parts).astype(np.float16)


def teacher_tokens(teacher: Teacher, encoder: TextEncoder) -> Vectors:
    """The teacher's vector of the text of each token of a tokenizer: (vocab_size, dim)."""
    tokenizer = encoder.tokenizer
    spelled = [tokenizer.decode([token], skip_special_tokens=True).strip() for token in range(tokenizer.get_vocab_size())]
    return teacher.vectors(spelled)
