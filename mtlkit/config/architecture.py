"""What a saved model is: its shape, its tasks and how texts become its tokens. Free of torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from mtlkit.config.from_json import build
from mtlkit.config.numbers import whole
from mtlkit.errors import UsageError, shorten

Attention = Literal["bidirectional", "causal"]
Truncation = Literal["head", "tail", "head-tail"]
Kind = Literal["classification", "multi-label", "regression"]
Stage = Literal["base", "sentence", "mtl"]
Norm = Literal["pre", "post"]
Activation = Literal["gelu", "gelu_tanh", "relu", "silu"]
Pooling = Literal["mean", "first", "weighted"]

# name: (layers, width, attention heads)
SIZES: dict[str, tuple[int, int, int]] = {
    "xs": (2, 128, 2),
    "s": (4, 256, 4),
    "m": (6, 384, 6),
    "l": (12, 768, 12),
}

LARGEST = 2**31 - 1  # of any number of a shape: more is no model
MOST_LAYERS = 1000  # of a transformer, and of a head: twice the deepest that anyone has trained, and built in seconds
TASK_NAME = re.compile(r"[a-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Architecture:
    """Shape of a transformer.

    `max_length` is the number of positions, BOS and EOS among them; `dim` must be a multiple of `heads`. The fields below
    `dropout` are what BERT and its kin have otherwise: the norm after each addition (`post`), a norm after the embeddings,
    an MLP of `hidden` in place of 4 * dim, embeddings of `embedding_dim` widened to `dim`, the vector at the first token
    in place of the mean, vectors scaled to length 1. `weighted` is a mean in which every token of the vocabulary has a learned
    weight. `family` names the Hugging Face model that the weights came from.
    """

    vocab_size: int
    layers: int
    dim: int
    heads: int
    max_length: int
    attention: Attention = "causal"
    dropout: float = 0.1
    norm: Norm = "pre"
    embedding_norm: bool = False
    epsilon: float = 1e-5
    activation: Activation = "gelu"
    hidden: int | None = None
    embedding_dim: int | None = None
    pooling: Pooling = "mean"
    normalize: bool = False
    family: str | None = None

    def __post_init__(self) -> None:
        for name in ("vocab_size", "layers", "dim", "heads", "max_length", "mlp_dim", "token_dim"):
            if not 0 < (number := getattr(self, name)) <= LARGEST:
                raise UsageError(f"no model has {name} {shorten(str(number), 20)}; it has to be above 0 and at most {LARGEST:,}")
        if self.layers > MOST_LAYERS:
            raise UsageError(f"a model of {self.layers:,} layers is more than can be built; give {MOST_LAYERS:,} at most")
        if not (0 <= self.dropout <= 1 and self.epsilon > 0):
            raise UsageError(f"no model has a dropout of {self.dropout} and an epsilon of {self.epsilon}")
        if self.dim % self.heads:
            raise UsageError(f"a width of {self.dim} cannot be shared by {self.heads} attention heads; it must be a multiple")
        if self.max_length < 4:
            raise UsageError(f"a length of {self.max_length} positions holds no text; give at least 4")

    @property
    def mlp_dim(self) -> int:
        return self.hidden or 4 * self.dim

    @property
    def token_dim(self) -> int:
        return self.embedding_dim or self.dim


@dataclass(frozen=True)
class Encoding:
    """How a text becomes token ids: at most `max_length` of them, BOS and EOS included, cut by `truncate`. With
    `literal_special_tokens` a text that spells out a special token such as [SEP] or <eos> is plain text."""

    max_length: int
    truncate: Truncation = "head-tail"
    literal_special_tokens: bool = True


@dataclass(frozen=True)
class TaskSpec:
    """A task as its head knows it.

    `labels` are the class names in the order of the outputs (one empty-named output for regression). A regression head
    predicts in units of `spread` around `center`, taken from the training labels.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    head: str = "linear"
    center: float = 0.0
    spread: float = 1.0

    @property
    def outputs(self) -> int:
        return 1 if self.kind == "regression" else len(self.labels)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TaskSpec:
        """A task as a file has it. Raises ValueError, and UsageError for a name or a head that cannot be."""
        spec = build(cls, value)
        check_task_name(spec.name)
        if spec.outputs < 1 or len(set(spec.labels)) < len(spec.labels) or max(parse_head(spec.head), default=1) > LARGEST:
            raise ValueError(f"task '{spec.name}' has labels or a head that cannot be")
        return spec


def check_task_name(name: str) -> str:
    """A task's name stands in file names and weight names, so only plain characters are allowed.

    Raises UsageError for any other name.
    """
    if not TASK_NAME.fullmatch(name):
        raise UsageError(f"task name {shorten(name)!r} is not usable; use lower-case letters, digits, '-' and '_', 64 at most")
    return name


def parse_head(text: str) -> tuple[int, ...]:
    """Hidden widths of a head: () for `linear`, (256, 128) for `mlp:256,128`. Raises UsageError otherwise."""
    if text == "linear":
        return ()
    kind, _, widths = text.partition(":")
    parts = widths.split(",")
    if len(parts) > MOST_LAYERS:
        raise UsageError(f"--head {shorten(text)!r} has {len(parts):,} hidden layers; give {MOST_LAYERS:,} at most")
    found = [whole(part.strip(), 1) for part in parts]
    sizes = tuple(width for width in found if width is not None)
    if kind != "mlp" or len(sizes) < len(found):
        raise UsageError(f"--head {shorten(text)!r} is not known; write 'linear' or 'mlp:256,128'")
    return sizes
