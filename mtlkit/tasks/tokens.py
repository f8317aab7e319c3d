"""Tokens: each word of a text has a tag, of spans (named entities) or of the word itself (parts of speech)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.data.labels.classes import classes_in
from mtlkit.data.labels.codec import RowClasses
from mtlkit.data.labels.marks import Label
from mtlkit.data.labels.tag_schemes import OUTSIDE, complete_tags, split_tag
from mtlkit.data.labels.word_labels import encode_tags, text_offsets
from mtlkit.errors import DataError, UsageError, listed
from mtlkit.evaluation.calibration import Forecast, forecast_of_classes
from mtlkit.evaluation.calibration_fit import fit_temperature
from mtlkit.evaluation.figures import Figures
from mtlkit.evaluation.intervals import Measure, Values
from mtlkit.evaluation.metric_names import ACCURACY, MACRO_SPAN_F1, SPAN_F1, SPAN_PRECISION, SPAN_RECALL, Metric
from mtlkit.evaluation.metrics import Array
from mtlkit.inference.predictions import softmax
from mtlkit.tasks.base import ClassWeights, TaskKind, balanced_weights
from mtlkit.tasks.convex import ConvexLoss, SoftmaxLoss
from mtlkit.tasks.tag_decoding import Decoder, answer_of_text, in_short, tags_of_spec, text_figures, text_scores

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mtlkit.model.heads.base import Head
    from mtlkit.model.heads.losses import LossOptions


class Tokens(TaskKind):
    """A tag a word. Outputs are logits of the tags of words, (W, tags). Encoded labels, (W, 2), are described in `word_labels`.

    Predicted are the likeliest tags of a text that its scheme allows. Metrics count spans, or words if tags are no spans; their
    intervals are by a bootstrap over texts.
    """

    name: ClassVar[str] = "tokens"
    help: ClassVar[str] = "A tag for each word: spans in BIO or BIOES, or plain tags (tokens=COLUMN&tags=COLUMN)."
    rank: ClassVar[int] = 300
    classes: ClassVar[RowClasses] = "words"
    metrics: ClassVar[tuple[Metric, ...]] = (SPAN_F1, SPAN_PRECISION, SPAN_RECALL, MACRO_SPAN_F1, ACCURACY)
    hub_task: ClassVar[str] = "token-classification"
    outputs_help: ClassVar[str] = "For tokens, a softmax over the columns gives the probabilities of the tags of a word."

    def __init__(self) -> None:
        self.decode = Decoder()

    def main_metric(self, spec: TaskSpec) -> Metric:
        return ACCURACY if spec.tags == "plain" else SPAN_F1

    def make_spec(self, task: str, labels: Sequence[Label], head: str, names: Sequence[str]) -> TaskSpec:
        if not all(isinstance(label, tuple) for label in labels):
            raise UsageError(
                f"task '{task}': kind={self.name} labels the words of a text; specify ?tokens=COLUMN&tags=COLUMN, or "
                "?text=COLUMN&spans=COLUMN"
            )
        tags = complete_tags(classes_in(labels, names))
        if len(tags.names) < 2:
            raise DataError(f"task '{task}': all words have the tag '{listed(tags.names)}'; a head needs two tags to tell apart")
        return TaskSpec(task, self.name, tags.names, head, tags=tags.scheme)

    def check_spec(self, spec: TaskSpec) -> None:
        if spec.tags is None or not spec.labels:
            raise ValueError(f"task '{spec.name}' labels words and has no scheme of tags")
        if spec.tags != "plain" and OUTSIDE not in spec.labels:
            raise ValueError(f"task '{spec.name}' has tags of spans without '{OUTSIDE}'")

    def check_varied(self, spec: TaskSpec, labels: Sequence[Label], column: str) -> None:
        tags = {tag for label in labels if isinstance(label, tuple) for tag in label}
        if len(tags) < 2:
            raise DataError(f"task '{spec.name}': all words have the tag '{listed(tags)}', so there is nothing to learn")

    def unseen(self, spec: TaskSpec, labels: Sequence[Label]) -> Counter[str]:
        rows = (set(label if isinstance(label, tuple) else (str(label),)) for label in labels)
        return Counter(tag for tags in rows for tag in sorted(tags - set(spec.labels)))

    def extended(self, spec: TaskSpec, labels: Sequence[str], order: Sequence[str]) -> TaskSpec:
        names = classes_in(labels)
        if spec.tags != "plain" and (others := [name for name in names if name != OUTSIDE and split_tag(name) is None]):
            raise UsageError(
                f"--new-classes extend: head '{spec.name}' has {str(spec.tags).upper()} tags of spans, and {listed(others)} are "
                "none; specify --new-classes fresh, or drop to leave out texts that have them"
            )
        return replace(spec.uncalibrated(), labels=tuple(dict.fromkeys([*spec.labels, *complete_tags(names, spec.tags).names])))

    def encode(self, spec: TaskSpec, labels: Sequence[Label]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        return encode_tags(spec.labels, labels)

    def comparable(self, task: str, splits: Sequence[Sequence[Label]]) -> tuple[list[NDArray[np.float64]], float]:
        codes: dict[Label, int] = {}
        return [np.array([codes.setdefault(label, len(codes)) for label in labels], np.float64) for labels in splits], 0.0

    def build_head(self, spec: TaskSpec, dim: int, dropout: float) -> Head:
        if spec.transitions is None:
            return super().build_head(spec, dim, dropout)
        from mtlkit.model.heads.crf_head import CrfHead

        return CrfHead(dim, spec, dropout)

    def loss(self, spec: TaskSpec, outputs: Tensor, labels: Tensor, options: LossOptions) -> Tensor:
        from mtlkit.model.heads.losses import cross_entropy

        return cross_entropy(outputs, labels[:, 0], options)

    def convex_loss(self, spec: TaskSpec, labels: Array, options: LossOptions, weights: Values) -> ConvexLoss | None:
        if options.focal or spec.transitions:
            return None
        if options.class_weights is not None:
            weights = weights * np.array(options.class_weights[0])[labels[:, 0]]
        return SoftmaxLoss(labels[:, 0], spec.outputs, weights, options.smoothing)

    def covers(self, spec: TaskSpec, labels: Array) -> bool:
        return len(np.unique(labels[:, 0])) == len(spec.labels)

    def groups(self, labels: Array) -> NDArray[np.int64] | None:
        lengths = np.diff(text_offsets(labels))
        return np.repeat(np.arange(len(lengths)), lengths)

    def examples(self, labels: Array) -> int:
        return len(text_offsets(labels)) - 1

    def score(self, spec: TaskSpec, outputs: Array, labels: Array) -> dict[str, Any]:
        return text_scores(spec, self.decode(spec, outputs, text_offsets(labels)), labels)

    def measure(self, spec: TaskSpec, outputs: Array, labels: Array) -> Measure:
        figures, name = self.figures(spec, outputs, labels), self.main_metric(spec).name
        return lambda counts: figures.measure(counts).overall[name]

    def figures(self, spec: TaskSpec, outputs: Array, labels: Array) -> Figures:
        return text_figures(spec, self.decode(spec, outputs, text_offsets(labels)), labels)

    def exact(self, spec: TaskSpec, outputs: Array, labels: Array) -> NDArray[np.bool_] | None:
        """Whether all tags of a text are right, (texts,)."""
        offsets = text_offsets(labels)
        right = self.decode(spec, outputs, offsets) == labels[:, 0]
        return np.logical_and.reduceat(right, offsets[:-1]) if len(labels) else right

    def probabilities(self, spec: TaskSpec, outputs: Array) -> Array:
        """Of the tags of each word, (W, tags)."""
        return softmax(outputs if spec.temperature == 1.0 else outputs / spec.temperature)

    def fit_calibration(self, spec: TaskSpec, outputs: Array, labels: Array) -> Calibration | None:
        return Calibration("temperature", fit_temperature(outputs, labels[:, 0]), rows=self.examples(labels))

    def forecast(self, spec: TaskSpec, outputs: Array, labels: Array) -> Forecast | None:
        """Of words, whose predicted tag is the one that the scheme allows."""
        predicted = self.decode(spec, outputs, text_offsets(labels))
        return forecast_of_classes(self.probabilities(spec, outputs), labels[:, 0], predicted)

    def answers(
        self, spec: TaskSpec, outputs: Array, texts: Sequence[str], words: Sequence[NDArray[np.int64]]
    ) -> Iterator[dict[str, Any]]:
        """What `predict` gives for each text, from the outputs for all words and where these are in their texts, (n, 2):
        {"spans": [{"start", "end", "text", "label", "probability"}, ...]}, or "tags" with one such entry for each word."""
        offsets = np.cumsum([0, *map(len, words)])
        tags, predicted = tags_of_spec(spec), self.decode(spec, outputs, offsets)
        probabilities = self.probabilities(spec, outputs)[np.arange(len(outputs)), predicted]
        for index, (text, places) in enumerate(zip(texts, words, strict=True)):
            own = slice(int(offsets[index]), int(offsets[index + 1]))
            yield answer_of_text(tags, predicted[own], probabilities[own], text, places)

    def answer(self, spec: TaskSpec, row: list[float]) -> dict[str, Any]:
        """The likeliest tag of a word by itself."""
        best = int(np.argmax(row))
        return {"label": spec.labels[best], "probability": row[best]}

    def in_short(self, answer: dict[str, Any]) -> str:
        return in_short(answer)

    def sample(self, spec: TaskSpec, outputs: Tensor, noise: torch.Generator) -> Tensor:
        import torch

        drawn = torch.multinomial(outputs.softmax(-1), 1, generator=noise)
        return torch.cat([drawn, torch.zeros_like(drawn)], 1)

    def log_likelihood(self, spec: TaskSpec, outputs: Tensor, labels: Tensor) -> Tensor:
        return outputs.log_softmax(-1).gather(-1, labels[:, :1]).sum()

    def divergence(self, spec: TaskSpec, now: Tensor, before: Tensor, temperature: float) -> Tensor:
        """Kullback-Leibler divergence of the tags at this temperature, the mean over words."""
        from torch.nn import functional

        new, old = ((logits / temperature).log_softmax(-1) for logits in (now, before))
        return functional.kl_div(new, old, log_target=True, reduction="batchmean")

    def chance_loss(self, spec: TaskSpec) -> float:
        return math.log(len(spec.labels))

    def class_weights(self, spec: TaskSpec, labels: Array) -> ClassWeights | None:
        return (balanced_weights(np.bincount(labels[:, 0], minlength=len(spec.labels))),)


KINDS.add(Tokens())
