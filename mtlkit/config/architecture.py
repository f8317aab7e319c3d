"""Description of a saved model: its architecture, its tasks and its tokenization. Does not import torch."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from mtlkit.config.block_options import BlockOptions, check_block_options
from mtlkit.config.calibration import Calibration
from mtlkit.config.from_json import build
from mtlkit.config.option import whole
from mtlkit.config.pooling import LARGEST, MOST, DenseShape, Pooling, pooling_modes
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.errors import UsageError, listed, shorten

Attention = Literal["bidirectional", "causal"]
Truncation = Literal["head", "tail", "head-tail"]
PairHead = Literal["vectors", "joint"]
PairInput = Literal["vectors", "joint", "either"]
TagScheme = Literal["bio", "bioes", "plain"]
Transitions = Literal["learned"]
Kind = str  # the name of a kind of task in `task_kinds.KINDS`
Stage = Literal["base", "sentence", "mtl"]
Norm = Literal["pre", "post"]
Activation = Literal["gelu", "gelu_tanh", "relu", "silu"]

# name: (layers, width, attention heads)
SIZES: dict[str, tuple[int, int, int]] = {
    "xs": (2, 128, 2),
    "s": (4, 256, 4),
    "m": (6, 384, 6),
    "l": (12, 768, 12),
}

# forms of a head: activations between its linear layers
HEAD_ACTIVATIONS = {"mlp": "gelu", "tanh": "tanh", "relu": "relu"}
MOST_LAYERS = 1000  # of a transformer or a head: far deeper than useful, but still built in seconds
MOST_BUCKETS = 256  # of a relative position bias: beyond, no two distances would share one
PAIR_PARTS = 4  # of the input of a head for pairs of vectors u and v: u, v, |u - v|, u * v
TASK_NAME = re.compile(r"[a-z0-9_-]{1,64}")


@dataclass(frozen=True)
class Architecture:
    """Architecture of a transformer.

    `max_length` is the maximum number of positions, including BOS and EOS; `dim` must be a multiple of `heads`. The fields below
    `dropout` describe BERT and related families: LayerNorm after each residual addition (`post`), LayerNorm after the embeddings,
    MLP width `hidden` (default 4 * dim), embeddings of width `embedding_dim` projected to `dim`, other `pooling` than the mean,
    `dense` layers on the pooled vectors, vectors normalized to length 1.
    `family` names the Hugging Face model family that the weights came from. With two `token_types`, the second marks
    the second text of a pair in one sequence. `blocks` has what other families' blocks have or lack. With `position_buckets`,
    attention has a relative position bias with so many buckets of distances. With `layer_groups`, neighbouring layers of so many
    groups share their weights. `transformers` is the config.json of a model that runs through that library; of the other fields,
    only those of its shape, its pooling and its dropout then have a meaning. `padding_id` is the token that positions do not
    count, and that has one of its own, in RoBERTa and related families. What is pooled is the last hidden states, mixed with
    `embedding_share` of the token embeddings (0.5: the first-last average of Li et al. 2020, On the Sentence Embeddings from
    Pre-trained Language Models).
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
    token_types: int = 1
    dense: tuple[DenseShape, ...] = ()
    blocks: BlockOptions = BlockOptions()
    position_buckets: int = 0
    layer_groups: int | None = None
    transformers: dict[str, Any] | None = None
    padding_id: int | None = None
    embedding_share: float = 0.0

    def __post_init__(self) -> None:
        pooling_modes(self.pooling)
        for name in ("vocab_size", "layers", "dim", "heads", "max_length", "mlp_dim", "token_dim", "vector_dim"):
            if not 0 < (number := getattr(self, name)) <= LARGEST:
                raise UsageError(f"{name} {shorten(str(number), 20)} is out of range; use a value between 1 and {LARGEST:,}")
        if self.layers > MOST_LAYERS:
            raise UsageError(f"{self.layers:,} layers are too many; use at most {MOST_LAYERS:,}")
        if len(self.dense) > MOST:
            raise UsageError(f"{len(self.dense):,} dense layers are too many; use at most {MOST}")
        if self.padding_id is not None and not 0 <= self.padding_id < LARGEST:
            raise UsageError(f"padding_id {self.padding_id} is not a token")
        if self.position_buckets and not 4 <= self.position_buckets <= MOST_BUCKETS:
            raise UsageError(f"position_buckets {self.position_buckets} is out of range; use 0, or 4 to {MOST_BUCKETS}")
        if self.layer_groups is not None and not 1 <= self.layer_groups <= self.layers:
            raise UsageError(f"layer_groups {self.layer_groups} is out of range; use 1 to the number of layers, {self.layers}")
        if not 1 <= self.token_types <= 2:
            raise UsageError(f"token_types {shorten(str(self.token_types), 20)} is out of range; use 1 or 2")
        if not 0 <= self.dropout <= 1:
            raise UsageError(f"dropout {self.dropout} is out of range; use a value between 0 and 1")
        if not 0 <= self.embedding_share < 1:
            raise UsageError(f"embedding_share {self.embedding_share} is out of range; use a value from 0 to below 1")
        if not self.epsilon > 0:
            raise UsageError(f"LayerNorm epsilon {self.epsilon} is out of range; use a value above 0")
        if self.dim % self.heads and self.transformers is None:
            raise UsageError(f"width {self.dim} is not a multiple of the number of attention heads, {self.heads}")
        if self.max_length < 4:
            raise UsageError(f"max_length {self.max_length} leaves no room for text; use at least 4")
        check_block_options(self)

    @property
    def mlp_dim(self) -> int:
        return self.hidden or 4 * self.dim

    @property
    def token_dim(self) -> int:
        return self.embedding_dim or self.dim

    @property
    def widens(self) -> bool:
        """Whether a linear layer makes hidden states of the embeddings."""
        return self.embedding_dim is not None

    @property
    def repeats(self) -> tuple[int, ...]:
        """How often each block runs, from the embeddings up: once, unless layers share their weights."""
        if self.layer_groups is None:
            return (1,) * self.layers
        groups = [int(layer / (self.layers / self.layer_groups)) for layer in range(self.layers)]  # rounded as in ALBERT
        return tuple(map(groups.count, range(self.layer_groups)))

    @property
    def pooled_dim(self) -> int:
        """The width of what pooling gives."""
        return len(pooling_modes(self.pooling)) * self.dim

    @property
    def vector_dim(self) -> int:
        """The width of the vector of a text. The hidden states of tokens, which heads for words read, have `dim`."""
        return self.dense[-1].width if self.dense else self.pooled_dim


@dataclass(frozen=True)
class Encoding:
    """How a text becomes token ids: at most `max_length`, including BOS and EOS; longer texts are cut as `truncate` says.

    With `literal_special_tokens` the name of a special token such as [SEP] or <eos> in a text is treated as plain text.
    """

    max_length: int
    truncate: Truncation = "head-tail"
    literal_special_tokens: bool = True


@dataclass(frozen=True)
class TaskSpec:
    """Description of a task and its head.

    `labels` are the class names in the order of the outputs. A head without labels predicts a number:
    (value - `center`) / `spread`, both from the training labels. Specs that differ only in `calibration`
    are equal: their heads have the same weights and labels. `pair` says how the head of a task of text pairs reads both texts,
    None that an example is one text: with `vectors`, from the vectors of the two; with `joint`, from the vector of one sequence
    with both. With `either`, a head of another library reads such a sequence or one text. `tags` is the scheme of the tags of
    words, and None for heads that read texts; `transitions` says that the head learns how likely a tag is to follow another.
    With `sigmoid`, the number that a head predicts is a sigmoid, between 0 and 1.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    head: str = "linear"
    center: float = 0.0
    spread: float = 1.0
    calibration: Calibration | None = field(default=None, compare=False)
    pair: PairInput | None = None
    tags: TagScheme | None = None
    transitions: Transitions | None = None
    sigmoid: bool = False

    def width(self, architecture: Architecture) -> int:
        """The length of the input of the head: of hidden states for words, else of one vector or of those of a pair."""
        if self.tags is not None:
            return architecture.dim
        return PAIR_PARTS * architecture.vector_dim if self.pair == "vectors" else architecture.vector_dim

    @property
    def reads_texts(self) -> bool:
        """Whether the head reads the vector of a single text: neither pairs of texts nor words."""
        return self.pair is None and self.tags is None

    @property
    def reads_vector(self) -> bool:
        """Whether the head reads one vector: that of a single text, or of a sequence with both texts of a pair."""
        return self.pair != "vectors" and self.tags is None

    @property
    def joint(self) -> bool:
        """Whether the head reads both texts of a pair in one sequence."""
        return self.pair in ("joint", "either")

    def reads(self, *, pairs: bool) -> bool:
        """Whether the head reads pairs of texts, or single texts and perhaps their words."""
        return self.pair == "either" or (self.pair is not None) == pairs

    @property
    def outputs(self) -> int:
        """The number of outputs of the head for a text, which depends on the kind."""
        outputs: int = KINDS[self.kind].outputs(self)
        return outputs

    @property
    def temperature(self) -> float:
        """What logits are divided by before the softmax; 1 without calibration."""
        return self.calibration.temperature if self.calibration else 1.0

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The probability of each label from which it is predicted; empty without such a calibration."""
        return self.calibration.thresholds if self.calibration else ()

    def uncalibrated(self) -> TaskSpec:
        """The same task without calibration, for a head that is about to change."""
        return replace(self, calibration=None)

    def to_json(self) -> dict[str, Any]:
        """For `from_json`; a calibration, how pairs or words are read, and a sigmoid are written only if there are."""
        value = asdict(self.uncalibrated())
        del value["calibration"]
        value = {key: entry for key, entry in value.items() if entry or key not in ("pair", "tags", "transitions", "sigmoid")}
        return value | ({"calibration": self.calibration.to_json()} if self.calibration else {})

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TaskSpec:
        """Raises ValueError for an invalid description, UsageError for an invalid name or head."""
        spec = build(cls, value)
        check_task_name(spec.name)
        if spec.kind not in KINDS:
            raise ValueError(f"task '{spec.name}' is of kind {shorten(spec.kind, 40)!r}; known kinds: {listed(KINDS)}")
        KINDS[spec.kind].check_spec(spec)
        if spec.thresholds and len(spec.thresholds) != len(spec.labels):
            raise ValueError(f"task '{spec.name}' has {len(spec.thresholds)} thresholds for {len(spec.labels)} labels")
        if len(set(spec.labels)) < len(spec.labels) or max(parse_head(spec.head), default=1) > LARGEST:
            raise ValueError(f"task '{spec.name}' has repeated labels or too large a head")
        return spec


def check_task_name(name: str) -> str:
    """Returns the name. Raises UsageError if it has characters that do not belong in names of files and weights."""
    if not TASK_NAME.fullmatch(name):
        raise UsageError(f"invalid task name {shorten(name)!r}; use at most 64 lower-case letters, digits, '-' and '_'")
    return name


def head_activation(head: str) -> str:
    """The activation after each linear layer of a head but the last."""
    return HEAD_ACTIVATIONS.get(head.partition(":")[0], "gelu")


def parse_head(text: str) -> tuple[int, ...]:
    """Hidden widths of a head: () for `linear`, (256, 128) for `mlp:256,128`, or with another activation, `tanh:256` and
    `relu:256`. Raises UsageError otherwise.
    """
    if text == "linear":
        return ()
    kind, _, widths = text.partition(":")
    parts = widths.split(",")
    if len(parts) > MOST_LAYERS:
        raise UsageError(f"--head {shorten(text)!r} has {len(parts):,} hidden layers; use at most {MOST_LAYERS:,}")
    parsed = [whole(part.strip(), 1) for part in parts]
    sizes = tuple(width for width in parsed if width is not None)
    if kind not in HEAD_ACTIVATIONS or len(sizes) < len(parsed):
        raise UsageError(f"invalid --head {shorten(text)!r}; use 'linear' or 'mlp:256,128'")
    return sizes
