"""Learning without Forgetting: old heads keep saying about new data what they said before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.task_data import LabelledTexts
from mtlkit.data.encoded import EncodedWords
from mtlkit.errors import UsageError
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.engines.fast import fastest
from mtlkit.model.heads.base import Head
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.tasks.base import kind_of
from mtlkit.training.continual.guards import GuardContext
from mtlkit.training.freezing.features import Vectors
from mtlkit.training.objectives.base import ExampleSet
from mtlkit.training.sampling.columns import vectors_of_all
from mtlkit.training.sampling.mixture import MicroBatch


class LwF:
    """Learning without Forgetting (Li & Hoiem 2017): keeps the outputs of old heads on new texts close to the initial ones.
    alpha * sum over old heads of KL(softmax(z0 / T) | softmax(z / T)), whose gradient is that of their cross-entropy.

    For multi-label heads, the divergence is that of each label's sigmoid; for regression, the squared error in units of the
    labels' standard deviation. Old heads are frozen, so the penalty only affects the backbone. Needs no old data. Old heads that
    label words are compared on new tasks of words, the others on new tasks of texts; the means over words and over texts are
    added. An old head for the vectors of pairs of texts gets the pairs of the new task, or of single texts each one with the next
    of the batch.
    """

    replaces_decay: ClassVar[bool] = False

    def __init__(self, context: GuardContext, alpha: float = 1.0, temperature: float = 2.0) -> None:
        self.model, self.alpha, self.temperature = context.model, alpha, temperature
        model, compute = context.model.eval(), context.compute
        fast = fastest(model, compute)
        self.trained, old = context.trained, {name: model.head(name) for name in context.old_heads}
        self.initial: dict[str, dict[str, Tensor]] = {}  # outputs for texts or words by task and old head, (M, outputs)
        self.vectors: dict[str, Tensor] = {}  # of texts by task, (M, D), if there are old heads for pairs
        self.of_pairs = [name for name, head in old.items() if head.spec.pair == "vectors"]
        texts = {name: objective.train for name, objective in context.trained.items()}
        self.of_words = {name for name, examples in texts.items() if isinstance(examples.encoded, EncodedWords)}
        check_inputs(old, texts, self.of_words)
        for name, vectors in vectors_of_all(texts, lambda encoded: encode_all(fast, encoded, compute)):
            words = name in self.of_words
            fitting = [head for head in old if head not in self.of_pairs and (old[head].spec.tags is not None) == words]
            with torch.no_grad():
                self.initial[name] = {head: model.head(head)(vectors).float() for head in fitting}
            if self.of_pairs and not words:
                self.vectors[name] = vectors

    def loss(self, vectors: Vectors, piece: MicroBatch) -> Tensor:
        sums: dict[bool, list[Tensor]] = {False: [], True: []}  # of texts, and of words
        counts = {False: 0, True: 0}
        for name, (texts, numbers) in vectors.items():
            if name not in self.initial:  # rehearsed
                continue
            words = name in self.of_words
            counts[words] += len(numbers)
            where = torch.from_numpy(numbers).to(texts.device)
            for head, outputs in self.initial[name].items():
                sums[words].append(len(numbers) * drift(self.model.head(head), outputs[where], texts, self.temperature))
            for head in () if words else self.of_pairs:
                places = pairs_in(self.trained[name].train, numbers, piece[name])
                with torch.no_grad():
                    before = self.model.head(head)(head_inputs(self.vectors[name][where], places)).float()
                now = head_inputs(texts, places)
                sums[words].append(len(numbers) * drift(self.model.head(head), before, now, self.temperature))
        means = [torch.stack(terms).sum() / counts[words] for words, terms in sums.items() if terms and counts[words]]
        if not means:  # all tasks of the micro-batch are rehearsed, or no old head reads them
            return next(iter(vectors.values()))[0].new_zeros(())
        return self.alpha * torch.stack(means).sum()


def check_inputs(old: Mapping[str, Head], new: Iterable[str], of_words: Collection[str]) -> None:
    """Raises UsageError if an old head labels words and all new tasks texts, or the other way round: `lwf` compares the outputs
    of old heads on the inputs of new tasks. `of_words` are the new tasks that label words."""
    words_of_new = {name in of_words for name in new}
    left_out = [name for name, head in old.items() if (head.spec.tags is not None) not in words_of_new]
    if left_out:
        words = old[left_out[0]].spec.tags is not None
        reads, others = ("labels words", "texts") if words else ("reads texts", "words")
        raise UsageError(
            f"--guard lwf compares outputs of old heads on the data of new tasks; head '{left_out[0]}' {reads}, and new "
            f"tasks have labels for {others} only; use --guard l2sp"
        )


def pairs_in(examples: ExampleSet, texts: Rows, rows: Rows) -> Rows:
    """Where in a batch with the texts of these numbers, (M,), the pairs of the examples `rows` are, (2, n); if examples are no
    pairs, each text with the next one."""
    places = examples.places(texts, rows) if isinstance(examples, LabelledTexts) else None
    order = np.arange(len(texts))
    return np.stack([order, np.roll(order, -1)]) if places is None else places


def drift(head: Head, before: Tensor, vectors: Tensor, temperature: float) -> Tensor:
    """The mean divergence of a head's outputs for inputs, (N, width), from earlier outputs, (N, outputs); 0 if they are equal."""
    now = head(vectors).float()
    return kind_of(head.spec.kind).divergence(head.spec, now, before, temperature)
