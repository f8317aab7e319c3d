"""The model behind the routes: reserves room, tokenizes in one thread, computes in batches in another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlkit.data.encoded import Encoded, concatenated
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.predictions import TextPairs
from mtlkit.inference.routing import Prediction
from mtlkit.inference.scope.scope import Reject
from mtlkit.serving.batcher import Batcher, Observer, Piece, QueueFull
from mtlkit.serving.errors import RequestError
from mtlkit.serving.settings import Settings

LETTERS_A_TOKEN = 4  # about; texts wait by this measure until they are tokenized
PIECES_A_BATCH = 4  # a large request takes this share of a batch when others wait
SHORT = 4096  # letters that are tokenized sooner than another thread is woken


@dataclass(frozen=True)
class Embedding:
    """What requests for vectors must have in common to be computed together."""

    task: str | None
    prompt: str | None


@dataclass(frozen=True)
class Predicting:
    """What requests for predictions must have in common to be computed together."""

    task: str | None
    prompt: str | None
    reject: Reject | None
    pairs: bool


@dataclass(frozen=True)
class Part:
    """Some texts or pairs of a request, and their tokens."""

    texts: Sequence[Any]
    encoded: Encoded


@dataclass(frozen=True)
class Counted:
    """Results, the number of tokens that they are of, and of texts that were cut."""

    results: Any
    tokens: int
    cut: int


class ServedModel:
    """Vectors and predictions of a loaded model for many clients at a time."""

    def __init__(self, loaded: LoadedModel, settings: Settings, observer: Observer) -> None:
        self.loaded, self.settings = loaded, settings
        self.batcher = Batcher(self._run, settings.batch_tokens, settings.queue_tokens, observer)
        self.tokenizing = ThreadPoolExecutor(1, "mtlkit-tokens")

    async def embed(self, texts: Sequence[str], task: str | None, prompt: str | None) -> Counted:
        """The full vectors, (N, full_dim). Raises RequestError, UsageError, NotFiniteError."""
        self.loaded.check_task(task)
        counted = await self._compute(Embedding(task, prompt), texts)
        return Counted(np.concatenate(counted.results), counted.tokens, counted.cut)

    async def predict(
        self, texts: Sequence[str] | TextPairs, task: str | None, prompt: str | None, reject: Reject | None, *, pairs: bool
    ) -> Counted:
        """A `Prediction` for each text or pair. Raises RequestError, UsageError, NotFiniteError."""
        counted = await self._compute(Predicting(task, prompt, reject, pairs), texts)
        predictions: list[Prediction] = [one for part in counted.results for one in part]
        return Counted(predictions, counted.tokens, counted.cut)

    def close(self) -> None:
        self.tokenizing.shutdown(cancel_futures=True)
        self.batcher.close()

    async def _compute(self, key: Embedding | Predicting, texts: Sequence[Any]) -> Counted:
        singles = [text for pair in texts for text in pair] if isinstance(key, Predicting) and key.pairs else list(texts)
        letters = sum(map(len, singles))
        longest = self.loaded.encoder.encoding.max_length
        reserved = sum(min(longest, len(text) // LETTERS_A_TOKEN + 1) for text in singles)
        try:
            self.batcher.reserve(reserved)
        except QueueFull as full:
            raise RequestError(429, f"too many requests: {full}; try again later", retry_after=full.retry_after) from None
        try:
            if letters <= SHORT:
                encoded = self.loaded.encode(singles, key.prompt)
            else:
                loop = asyncio.get_running_loop()
                encoded = await loop.run_in_executor(self.tokenizing, self.loaded.encode, singles, key.prompt)
        except BaseException:
            self.batcher.release(reserved)
            raise
        pieces = list(self._pieces(texts, encoded, len(singles) // len(texts)))
        results = await self.batcher.submit(key, pieces, reserved)
        return Counted(results, len(encoded.ids), encoded.truncated)

    def _pieces(self, texts: Sequence[Any], encoded: Encoded, each: int) -> Iterator[Piece]:
        """Parts of a request with about a quarter of a batch each; `each` is the number of rows that a text or pair has."""
        start, most = 0, max(1, self.settings.batch_tokens // PIECES_A_BATCH)
        ends = encoded.offsets[each::each]
        while start < len(texts):
            begin = encoded.offsets[start * each]
            stop = max(start + 1, int(np.searchsorted(ends, begin + most, "right")))
            yield Piece(Part(texts[start:stop], encoded.between(start * each, stop * each)), int(ends[stop - 1] - begin))
            start = stop

    def _run(self, key: Embedding | Predicting, parts: list[Part]) -> list[Any]:
        """The vectors or predictions of each part."""
        texts = [text for part in parts for text in part.texts]
        encoded = concatenated([part.encoded for part in parts])
        if isinstance(key, Embedding):
            computed: Any = self.loaded.vectors(encoded, task=key.task)
        else:
            computed = self.loaded.predict(
                texts, key.task, prompt=key.prompt, reject=key.reject, encoded=None if key.pairs else encoded
            )
        ends = np.cumsum([len(part.texts) for part in parts]).tolist()
        return [computed[stop - len(part.texts) : stop] for part, stop in zip(parts, ends, strict=True)]
