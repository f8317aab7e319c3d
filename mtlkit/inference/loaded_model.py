"""The model object that `mtlkit.load` returns. Imports torch only if the engine needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.data.tokenization.word_splitting import split_words
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.inference.display import model_html
from mtlkit.inference.engines.base import ROUTER, VECTORS, Engine, vectors_for
from mtlkit.inference.find_model import MINI, mini_folder
from mtlkit.inference.predictions import (
    Asked,
    TextPairs,
    answers,
    answers_of_words,
    are_pairs,
    chosen_heads,
    heads_for,
    names_asked,
)
from mtlkit.inference.prompts import with_prompt
from mtlkit.inference.routing import Prediction, is_answered, task_probabilities
from mtlkit.inference.scope.file import read_scopes
from mtlkit.inference.scope.rejection import Rejection, can_reject, missing_scope
from mtlkit.inference.scope.scope import Reject, Scope
from mtlkit.inference.similarity import normalize_rows, truncate
from mtlkit.inference.text_inputs import check_texts, outputs_for_pairs
from mtlkit.inference.words import encode_texts_with_words
from mtlkit.model.description import ModelDescription
from mtlkit.runs.record import RunRecord


class LoadedModel:
    """A model with its tokenizer: turns texts into vectors and predictions.

    `record` is the record of the run, or None for a model that mtlkit did not train. `notes` are messages for the user: the
    prompt, and settings that are unknown. `sentences` opens the engine for vectors if it is another one: without its head, a
    sequence classifier is a sentence encoder with mean pooling. The vector of a text does not depend on the other texts of its
    batch (to 1e-5).
    """

    def __init__(
        self,
        path: Path,
        checkpoint: ModelDescription,
        record: RunRecord | None,
        encoder: TextEncoder,
        engine: Engine,
        notes: tuple[str, ...] = (),
    ):
        self.path = path
        self.checkpoint = checkpoint
        self.record = record
        self.encoder = encoder
        self.engine = engine
        self.notes = notes
        self.sentences: Callable[[], Engine] | None = None
        self.specs: dict[str, TaskSpec] = {spec.name: spec for spec in checkpoint.tasks}

    def __repr__(self) -> str:
        heads = ", ".join(f"{name} ({spec.kind})" for name, spec in self.specs.items())
        return f"<LoadedModel {self.name}: vectors of {self.dim}; heads: {heads or 'none'}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return model_html(self)

    @property
    def name(self) -> str:
        """The name in messages: the folder, or `mini`."""
        return MINI if self.path == mini_folder() else str(self.path)

    @property
    def full_dim(self) -> int:
        """The width of the full vectors, which heads take as input."""
        return self.checkpoint.architecture.vector_dim

    @property
    def dim(self) -> int:
        """The width of vectors by default: `full_dim`, or the model's `truncate_dim`."""
        return min(self.checkpoint.vectors.truncate_dim or self.full_dim, self.full_dim)

    def output_dim(self, dim: int | None) -> int:
        """The width of output vectors: `dim`, or the default for None. Raises UsageError if `dim` exceeds the model's."""
        if dim is not None and dim > self.full_dim:
            raise UsageError(f"--dim {dim}: the vectors of {self.name} have {self.full_dim} dimensions; specify that or less")
        return dim or self.dim

    @property
    def tasks(self) -> tuple[str, ...]:
        """The names of the tasks that have a head."""
        return tuple(self.specs)

    @property
    def router(self) -> tuple[str, ...]:
        """The names of the tasks that the router distinguishes; empty without a router."""
        return self.checkpoint.router

    @property
    def without_heads(self) -> str:
        """The start of an error message: that the model has no heads, and which head was not loaded."""
        if self.record is not None:
            return f"{self.name} has no heads"
        from mtlkit.inference.load_weights import unloaded_head

        head = unloaded_head(self.path)
        return f"the {head} is not supported, so {self.name} has no heads" if head else f"{self.name} has no heads"

    def recorded(self, task: Asked = None) -> list[SourceRecord]:
        """How the data of its tasks, or of those of `task`, was read."""
        names = names_asked(task)
        return [record for name, record in self.checkpoint.sources.items() if names is None or name in names]

    def embed(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        dim: int | None = None,
        normalize: bool = False,
        batch_tokens: int | None = None,
        task: str | None = None,
    ) -> NDArray[np.float32]:
        """The vectors of N texts: (N, dim) float32, of length 1 with `normalize`; those that the head of `task` reads, by default
        those without an adapter of a task.

        `prompt` is prepended to every text: the name of one of the model's prompts, or literal text; "none" or "" for none; by
        default, the prompt that the model was loaded with. `dim` keeps the first numbers of each vector, by default `self.dim`.
        `batch_tokens` is the number of tokens per batch, by default chosen by the engine. Raises UsageError, and NotFiniteError
        if a vector contains NaN or infinity.
        """
        if dim is not None and not 1 <= dim <= self.full_dim:
            raise UsageError(
                f"dim {dim}: the vectors of {self.name} have {self.full_dim} dimensions; specify 1 to {self.full_dim}"
            )
        self.check_task(task)
        vectors = truncate(self.vectors(self.encode(texts, prompt), batch_tokens=batch_tokens, task=task), dim or self.dim)
        return normalize_rows(vectors) if normalize else vectors

    def predict(
        self,
        texts: Sequence[str] | TextPairs,
        task: Asked = None,
        *,
        prompt: str | None = None,
        reject: Reject | None = None,
        words: Sequence[NDArray[np.int64]] | None = None,
        encoded: Encoded | None = None,
    ) -> list[Prediction]:
        """The predictions of all heads, or of the heads of `task`, one name or several, for each text. The backbone runs once for
        all heads.

        Heads of tasks whose rows are pairs of texts predict for pairs only: `texts` are then tuples of two strings. Heads that
        read both in one sequence get no prompt. Heads that label words split each text into words, unless `words` says where
        those of each text begin and end, (n, 2). `encoded` is what `encode` returned for the texts, if that is at hand.

        If the model has a router and no task is given, only the heads of tasks that match a text predict: those with a router
        probability of at least `routing.MIN_PROBABILITY`, the most probable one, and those that the router was not trained on.
        The attribute `router` of a prediction has the probability of each task, {} without a router. `prompt` is as in `embed`.

        Returns one dict per text: task -> {"label", "probability", "probabilities"} for classification, {"labels",
        "probabilities"} for multi-label, {"value"} for regression, {"spans": [{"start", "end", "text", "label", "probability"}]}
        for words, or {"tags": ...} with such an entry for each word. Raises UsageError for a task without a head.

        With `reject`, each of them also has "rejected", "score" and "threshold". Rejected are texts that fit no class: those with
        a score below the threshold, which rejects about the share `reject` of the texts that do fit, and blank texts. "auto" is a
        share of 0.05. Heads of other kinds than classification reject only blank texts; their score is None. Raises UsageError if
        no head can reject.
        """
        if not self.tasks:
            raise UsageError(f"{self.without_heads} to predict with; train heads with 'mtlkit train-mtl --init {self.name}'")
        if not len(texts) and not isinstance(texts, str):  # neither texts nor pairs
            chosen_heads(self.specs, task, self.name)
            return []
        of_pairs = are_pairs(texts)
        names = heads_for(self.specs, task, self.name, pairs=of_pairs)
        routed = bool(self.router) and task is None and not of_pairs
        rejection = None if reject is None else Rejection(reject, self.scopes_for(names))
        also = [*([ROUTER] if routed else []), *(dict.fromkeys(map(self.vectors_of, names)) if rejection else [])]
        of_words = {name for name in names if self.specs[name].tags is not None}
        single: Sequence[str] = () if of_pairs else cast(Sequence[str], texts)
        if of_words and words is None:
            words = [split_words(text) for text in check_texts(single)]
        if are_pairs(texts):
            encoders = self._encoder(prompt), self.encoder
            read = list(outputs_for_pairs(self.engine, encoders, self.specs, texts, names, also))
        else:
            whole = len(of_words) < len([*names, *also])
            if of_words:
                encoded = self.encode_words(single, words or (), prompt, whole=whole)
            elif encoded is None:
                encoded = self.encode(single, prompt)
            read = [(list(names), self.engine.outputs(encoded, [*names, *also]))]
        predicted = {
            name: answers_of_words(self.specs[name], outputs[name], single, words or ())
            if name in of_words
            else answers(self.specs[name], outputs[name])
            for heads, outputs in read
            for name in heads
        }
        if rejection:
            for heads, outputs in read:
                for name in heads:
                    rejection.add_to(predicted[name], self.specs[name], outputs[name], outputs[self.vectors_of(name)], texts)
        routing = task_probabilities(self.router, read[0][1][ROUTER]) if routed else [{}] * len(texts)
        return [
            Prediction({name: predicted[name][index] for name in names if is_answered(name, router)}, router)
            for index, router in enumerate(routing)
        ]

    @cached_property
    def scopes(self) -> dict[str, Scope]:
        """What recognizes texts that fit no class, by task; empty for models without it. Raises IntegrityError."""
        return read_scopes(self.path)

    def scopes_for(self, names: Sequence[str]) -> dict[str, Scope]:
        """The scopes of these heads. Raises UsageError if none of them has one."""
        found = {name: self.scopes[name] for name in names if name in self.scopes}
        if found or not names:
            return found
        if not any(can_reject(self.specs[name]) for name in names):
            raise UsageError(f"reject: {listed(names)} predicts no classes; texts that fit no class are found by classification")
        raise UsageError(f"reject: {self.name} cannot tell which texts fit {listed(names)}: {missing_scope(self.record, names)}")

    def encode(self, texts: Sequence[str], prompt: str | None = None) -> Encoded:
        """The tokens of texts, with the prompt as in `embed`. Raises UsageError, and TypeError for anything but strings."""
        return self._encoder(prompt).encode(check_texts(texts))

    def encode_words(
        self, texts: Sequence[str], words: Sequence[NDArray[np.int64]], prompt: str | None = None, *, whole: bool
    ) -> EncodedWords:
        """The tokens of texts with words, (n, 2) each; `whole`: also for heads that read the texts. Raises like `encode`."""
        return encode_texts_with_words(check_texts(texts), words, self._encoder(prompt), whole=whole)

    def _encoder(self, prompt: str | None) -> TextEncoder:
        return self.encoder if prompt is None else with_prompt(self.encoder, self.checkpoint.vectors, prompt)

    def vectors(self, encoded: Encoded, *, batch_tokens: int | None = None, task: str | None = None) -> NDArray[np.float32]:
        """The full vectors of N tokenized texts, (N, full_dim), for a task with an adapter, or without one."""
        return self._sentence_engine.vectors(encoded, batch_tokens, task)

    def vectors_of(self, task: str) -> str:
        """The name of an engine's output with the vectors that the head of a task reads."""
        return vectors_for(task) if task in self.checkpoint.adapters else VECTORS

    def check_task(self, task: str | None) -> None:
        """Raises UsageError for a task without a head."""
        if task is not None and task not in self.specs:
            raise UsageError(
                f"{self.name} has no head '{task}'; it has {listed(self.specs) or 'none'}{suggest(task, self.specs)}"
            )

    @cached_property
    def _sentence_engine(self) -> Engine:
        return self.engine if self.sentences is None else self.sentences()
