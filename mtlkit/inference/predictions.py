"""From what heads give to what a user reads, by the kind of their task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import Kind, TaskSpec
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.evaluation.metrics import Array

TextPairs = Sequence[tuple[str, str]]


class PredictionKind(Protocol):
    """How outputs of one kind of task are read."""

    def probabilities(self, spec: TaskSpec, outputs: Array) -> Array:
        """Probabilities of labels, (N, labels), or predicted values, (N, 1), from outputs, (N, outputs)."""
        ...

    def class_probabilities(self, spec: TaskSpec, outputs: Array) -> Array | None:
        """Calibrated probabilities, (N, C), of classes of which a text has exactly one; None for other kinds."""
        ...

    def answer(self, spec: TaskSpec, row: list[float]) -> dict[str, Any]:
        """What `predict` gives for a text, from one row of `probabilities`."""
        ...

    def in_short(self, answer: dict[str, Any]) -> str:
        """An answer as a cell of a table."""
        ...


class WordKind(Protocol):
    """How outputs of a kind of task that labels words are read."""

    def answers(
        self, spec: TaskSpec, outputs: Array, texts: Sequence[str], words: Sequence[NDArray[np.int64]]
    ) -> Iterator[dict[str, Any]]:
        """What `predict` gives for each text, from the outputs for all words, (W, outputs), and where these are in their texts,
        (n, 2) each."""
        ...


def prediction_kind(kind: Kind) -> PredictionKind:
    """How outputs of a kind of task are read."""
    return cast(PredictionKind, KINDS[kind])


def probabilities(spec: TaskSpec, outputs: Array) -> Array:
    """Class or label probabilities, (N, labels), or the predicted value, (N, 1)."""
    return prediction_kind(spec.kind).probabilities(spec, outputs)


def answers(spec: TaskSpec, outputs: Array) -> list[dict[str, Any]]:
    """One dict a text: {"label", "probability", "probabilities"} for classification, {"labels", "probabilities"} for
    multi-label, {"value"} for regression; other kinds have their own."""
    kind = prediction_kind(spec.kind)
    return [kind.answer(spec, row) for row in kind.probabilities(spec, outputs).tolist()]


def most_probable(answer: dict[str, Any], count: int) -> dict[str, Any]:
    """An answer with only the `count` most probable labels in its "probabilities", the most probable first; others unchanged."""
    probabilities = answer.get("probabilities")
    if not isinstance(probabilities, dict):
        return answer
    kept = sorted(probabilities.items(), key=lambda item: -item[1])[:count]
    return {**answer, "probabilities": dict(kept)}


def answers_of_words(
    spec: TaskSpec, outputs: Array, texts: Sequence[str], words: Sequence[NDArray[np.int64]]
) -> list[dict[str, Any]]:
    """One dict a text, {"spans": [...]} or {"tags": [...]}, from the outputs of a head that labels words."""
    return list(cast(WordKind, KINDS[spec.kind]).answers(spec, outputs, texts, words))


def softmax(outputs: Array) -> Array:
    """Probabilities of classes, (N, C), from logits of that shape."""
    powers = np.exp(outputs - outputs.max(1, keepdims=True))
    found: Array = powers / powers.sum(1, keepdims=True)
    return found


def sigmoid(outputs: Array) -> Array:
    """Probabilities of labels that are there or not, from logits of the same shape."""
    found: Array = np.exp(-np.logaddexp(np.float32(0), -outputs))  # 1 / (1 + exp(-x)) without its overflow
    return found


def are_pairs(texts: Sequence[str] | TextPairs) -> TypeGuard[TextPairs]:
    """Whether the texts are pairs, judging by the first. Raises TypeError for pairs of which one does not have two texts."""
    if not len(texts) or isinstance(texts, str) or not isinstance(texts[0], (tuple, list)):
        return False
    for index, pair in enumerate(texts):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"texts[{index}] is not a pair of two strings, as texts[0] is a tuple or list; pass tuples of two")
    return True


Asked = str | Sequence[str] | None  # the names of tasks, or of one; None for all


def names_asked(task: Asked) -> tuple[str, ...] | None:
    """The names of tasks; None for all."""
    return (task,) if isinstance(task, str) else None if task is None else tuple(task)


def chosen_heads(specs: Mapping[str, TaskSpec], task: Asked, model: str) -> tuple[str, ...]:
    """All heads, or those of `task`. Raises UsageError if one is missing."""
    names = names_asked(task)
    for name in names or ():
        if name not in specs:
            raise UsageError(f"{model} has no head '{name}'; it has {listed(specs)}{suggest(name, specs, '--task')}")
    return tuple(specs) if names is None else names


def heads_for(specs: Mapping[str, TaskSpec], task: Asked, model: str, *, pairs: bool) -> tuple[str, ...]:
    """The heads that predict for pairs of texts, or for single texts: all of them, or those of `task`. Raises UsageError if there
    is none, or if one of `task` does not."""
    asked = chosen_heads(specs, task, model)
    fitting = tuple(name for name in asked if specs[name].reads(pairs=pairs))
    if fitting and (task is None or fitting == asked):
        return fitting
    asked = tuple(name for name in asked if name not in fitting)
    heads = f"head '{asked[0]}' of {model} reads" if len(asked) == 1 else f"the heads of {model} ({listed(asked)}) read"
    if pairs:
        raise UsageError(f"{heads} single texts, and these are pairs; give single texts (strings, or a command without --pair)")
    raise UsageError(
        f"{heads} pairs of texts; give pairs (tuples of two strings, or with --pair FIRST SECOND, or with --input FILE --pair "
        "COLUMN,COLUMN)"
    )
