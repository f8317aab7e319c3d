"""Options of training on tasks, with one or several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mtlkit.config.architecture import Architecture, Attention, Truncation, parse_head
from mtlkit.config.common import DATA, MODEL, TRAINING, PromptOptions, ShapeOptions, TrainingOptions
from mtlkit.config.numbers import whole
from mtlkit.config.option import option
from mtlkit.errors import UsageError, shorten

ClassWeights = Literal["none", "balanced"]
Sampling = Literal["natural", "balanced"]

MAX_LENGTH = 256  # tokens of a text, for a model from scratch
TRACK_EVERY = 50  # steps: a look took the time of 1.1 of them under round-robin, 1.8 under joint, so 2 to 4 % of all
FREEZING = "Freezing"


def parse_cap(text: str) -> int | Literal["shortest"] | None:
    """The rows that `--cap` leaves of a training set; None for all. Raises UsageError."""
    if text == "none":
        return None
    rows: int | Literal["shortest"] | None = "shortest" if text == "shortest" else whole(text, 1)
    if rows is None:
        raise UsageError(f"--cap {shorten(text)!r} is not 'shortest', 'none' or a number of rows")
    return rows


@dataclass(frozen=True, kw_only=True)
class TaskTrainingOptions(PromptOptions, ShapeOptions, TrainingOptions):
    """What training on tasks needs, with one task or several."""

    init: str | None = option(
        None, "A run, a Hugging Face model, 'mini' (in the package), or 'scratch' for fresh weights.", panel=MODEL
    )
    attention: Attention | None = option(
        None,
        "What a token sees: the whole text, or what came before.",
        panel=MODEL,
        default_text="as the starting model, else bidirectional",
    )
    head: str = option("linear", "Layers of new heads: linear, or mlp:256,128.", panel=MODEL, parse=parse_head)
    max_length: int | None = option(
        None,
        "Tokens of a text, BOS and EOS included.",
        panel=DATA,
        default_text="as the starting model, else 256",
        minimum=4,
    )
    truncate: Truncation | None = option(
        None, "Which part of a long text is kept.", panel=DATA, default_text="as the starting model, else head-tail"
    )
    cap: str = option("none", "Cut larger training sets: shortest, a number of rows, or none.", panel=DATA, parse=parse_cap)
    epochs: int = option(6, "Passes over the largest task.", panel=TRAINING, minimum=1)
    patience: int = option(0, "Stop after this many epochs without a better score; 0 never stops.", panel=TRAINING, minimum=0)
    eval_every: int = option(
        0, "Steps between two evaluations within an epoch, besides the one at its end; 0 has none.", panel=TRAINING, minimum=0
    )
    batch_tokens: int = option(2048, "Tokens of a batch of the task with the longest texts.", panel=TRAINING, minimum=8)
    learning_rate: float = option(3e-4, "Peak learning rate of the backbone.", panel=TRAINING, minimum=0)
    head_rate: float = option(50.0, "Learning rate of heads, as a multiple of --learning-rate.", panel=TRAINING, minimum=0)
    accumulate: int = option(1, "Batches whose gradients make one step; of each task the mean counts.", panel=TRAINING, minimum=1)
    class_weights: ClassWeights = option("none", "balanced: all classes of a task count alike in its loss.", panel=TRAINING)
    sampling: Sampling = option("natural", "balanced: all classes of a task are drawn equally often.", panel=TRAINING)
    focal: float = option(
        0.0, "Gamma of the focal loss, which looks away from what is told rightly already, such as 2.", panel=TRAINING, minimum=0
    )
    label_smoothing: float = option(
        0.0, "Share of each label that goes to all classes alike, such as 0.1.", panel=TRAINING, minimum=0, maximum=1
    )
    track_every: int = option(
        TRACK_EVERY,
        "Steps between two looks at the gradients of blocks and of pairs of tasks; 0 never looks.",
        panel=TRAINING,
        minimum=0,
    )
    freeze: list[str] = option(
        ["none"],
        "Parts to freeze: none, backbone, embeddings, layers:A-B, pooling, norms, bias, heads, head:NAME, re:PATTERN; comma "
        "lists. '-' before an item thaws, '@until=epoch:K' or '@until=step:K' ends it, the last item that names a weight wins.",
        panel=FREEZING,
    )
    unfreeze: str | None = option(
        None, "top-down[:every=N]: the heads first, then a block more every N epochs, from the last down.", panel=FREEZING
    )
    layer_lr_decay: float = option(
        1.0, "How many times slower each block learns than the one above it, such as 2.6.", panel=FREEZING, minimum=1
    )
    cache_prefix: bool = option(
        False, "Work out what frozen lower blocks make of each text once and keep it: faster, but takes room.", panel=FREEZING
    )
    cache_memory: float = option(
        1.0,
        "GiB that is kept in memory of what is worked out once; more is kept on disk, beside the run.",
        panel=FREEZING,
        minimum=0,
    )

    def architecture(self, vocab_size: int | None = None) -> Architecture:
        """The shape of fresh weights; of the largest vocabulary allowed unless its size is known. Raises UsageError."""
        layers, dim, heads = self.shape()
        length = self.max_length or MAX_LENGTH
        return Architecture(
            vocab_size or self.vocab_size, layers, dim, heads, length, self.attention or "bidirectional", self.dropout
        )

    def cap_rows(self) -> int | Literal["shortest"] | None:
        """The value of `--cap`."""
        return parse_cap(self.cap)
