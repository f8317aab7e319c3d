"""Options of training on tasks, with one or several."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from mtlkit.config.architecture import Architecture, Attention, Truncation, parse_head
from mtlkit.config.common import DATA, MODEL, TRAINING, PromptOptions, ShapeOptions, TrainingOptions
from mtlkit.config.held_out import HeldOutOptions
from mtlkit.config.option import COMMON, option, whole
from mtlkit.config.registries.adapters import ADAPTERS, parse_adapter
from mtlkit.config.registries.freeze_targets import FREEZE_TARGETS
from mtlkit.errors import UsageError, shorten

ObjectiveName = Literal["classify", "pairs", "triplets", "distill", "similarity", "labels"]
LABELLED: tuple[ObjectiveName, ...] = ("classify", "labels")  # objectives that read labels
BalanceOn = Literal["vectors", "parameters"]
ClassWeights = Literal["none", "balanced"]
Sampling = Literal["natural", "balanced"]
AdapterPer = Literal["all", "task"]
Calibrate = Literal["auto", "none"]
Solver = Literal["auto", "lbfgs", "sgd"]
NewClasses = Literal["ask", "extend", "drop", "fresh", "refuse"]

MAX_LENGTH = 256  # tokens of a text, for a model from scratch
MAX_PAIRS = 100_000  # of --objective labels, in an epoch: 833 batches of 16 texts
TRACK_EVERY = 50  # steps: tracking takes the time of 1.1 steps with round-robin and 1.8 with joint, so 2 to 4 % of all
EPOCHS, LEAST_STEPS = 6, 60
LEARNING_RATE, RATED_WIDTH = 3e-4, 256  # of fresh weights, and of pretrained ones up to this width
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
class TaskTrainingOptions(PromptOptions, ShapeOptions, HeldOutOptions, TrainingOptions):
    """Options of training on tasks, with one task or several."""

    init: str | None = option(
        None,
        "Model to start from: a run, a Hugging Face model, mini (bundled), or scratch for random weights.",
        metavar="MODEL",
        panel=COMMON,
        rank=2,
        default_text="the newest run that fits, else mini",
        complete="init",
    )
    epochs: int = option(EPOCHS, "Passes over the largest task.", panel=COMMON, minimum=1, rank=4)
    min_steps: int | None = option(
        None,
        "Least number of optimizer steps: on small data, each epoch has several passes.",
        panel=TRAINING,
        advanced=True,
        metavar="STEPS",
        minimum=0,
        default_text=f"{LEAST_STEPS} for classify unless --epochs or --epoch-by is given, else 0",
    )
    freeze: list[str] = option(
        ["none"],
        "Parts to freeze, separated by commas, or none. A '-' before a part thaws it; '@until=epoch:K' or '@until=step:K' after "
        "it ends the freeze.",
        panel=COMMON,
        metavar="PARTS",
        rank=5,
        complete="part",
        methods=FREEZE_TARGETS,
    )
    new_classes: NewClasses = option(
        "ask",
        "If data has classes that an existing head does not know: extend the head, drop those rows, train a fresh head, or "
        "refuse. ask: a question on a terminal, elsewhere refuse.",
        panel="Existing tasks",
        advanced=True,
    )
    learning_rate: float | None = option(
        None,
        "Peak learning rate of the backbone.",
        panel=COMMON,
        minimum=0,
        rank=7,
        default_text="0.0003; less for models wider than mini",
    )
    attention: Attention | None = option(
        None,
        "What a token sees: the whole text, or only what comes before it.",
        panel=MODEL,
        default_text="the starting model's, else bidirectional",
        advanced=True,
    )
    default_attention: ClassVar[Attention | None] = None  # that of the starting model
    embedding_share: float | None = option(
        None,
        "Share of the token embeddings in what is pooled; the rest are the last hidden states.",
        panel=MODEL,
        metavar="X",
        minimum=0,
        maximum=0.9,
        default_text="the starting model's, 0 for fresh weights",
        advanced=True,
    )
    head: str = option(
        "linear",
        "Layers of new heads: linear, or mlp:256,128.",
        metavar="LAYERS",
        panel=MODEL,
        parse=parse_head,
        complete=("linear", "mlp:"),
    )
    max_length: int | None = option(
        None,
        "Tokens per text, BOS and EOS included.",
        panel=DATA,
        metavar="N",
        default_text="the starting model's, else 256",
        minimum=4,
    )
    truncate: Truncation | None = option(
        None, "Part of a long text to keep.", panel=DATA, default_text="the starting model's, else head-tail", advanced=True
    )
    cap: str = option(
        "none",
        "Limit larger training sets: shortest, a number of rows, or none.",
        panel=DATA,
        metavar="ROWS",
        parse=parse_cap,
        complete=("none", "shortest"),
    )
    test: list[str] = option(
        [],
        "At the end, score once on test rows: of all tasks, of NAME, or from SOURCE.",
        panel=DATA,
        metavar="[NAME[=SOURCE]]",
        rank=1,
        complete="watched",
    )
    batch_tokens: int = option(2048, "Tokens per batch of the task with the longest texts.", panel=TRAINING, minimum=8)
    head_rate: float = option(
        50.0, "Learning rate of heads, as a multiple of --learning-rate.", panel=TRAINING, minimum=0, advanced=True
    )
    patience: int = option(
        0, "Stop after this many epochs without a better score (0 = never).", panel=TRAINING, metavar="EPOCHS", minimum=0
    )
    eval_every: int = option(
        0, "Steps between evaluations within an epoch (0 = none).", panel=TRAINING, metavar="STEPS", minimum=0, advanced=True
    )
    micro_batch_tokens: int | None = option(
        None,
        "Tokens that pass through the backbone at once. Larger batches are cut and encoded twice: the same gradient in less "
        "memory (gradient caching).",
        panel=TRAINING,
        metavar="TOKENS",
        minimum=8,
        default_text="the whole batch",
        advanced=True,
    )
    class_weights: ClassWeights = option(
        "none", "balanced: give all classes of a task the same weight in the loss.", panel=TRAINING
    )
    sampling: Sampling = option("natural", "balanced: draw all classes of a task equally often.", panel=TRAINING, advanced=True)
    focal: float = option(
        0.0, "Focal loss gamma; down-weights easy examples (0 = off).", panel=TRAINING, minimum=0, advanced=True
    )
    label_smoothing: float = option(
        0.0, "Label smoothing, such as 0.1 (0 = off).", panel=TRAINING, minimum=0, maximum=1, advanced=True
    )
    calibrate: Calibrate = option(
        "auto",
        "auto: fit a temperature, or for multi-label tasks a threshold per label, on the validation rows after training.",
        panel=TRAINING,
        advanced=True,
    )
    prototypes: int = option(
        200,
        "Training vectors per class that the run keeps for predict --reject (0 = none).",
        panel=TRAINING,
        metavar="N",
        minimum=0,
        advanced=True,
    )
    track_every: int = option(
        TRACK_EVERY,
        "Steps between measurements of gradients (0 = never).",
        panel=TRAINING,
        metavar="STEPS",
        minimum=0,
        advanced=True,
    )
    unfreeze: str | None = option(
        None,
        "Gradual unfreezing: start with the heads and add a block every N epochs, from the top down.",
        panel=FREEZING,
        metavar="top-down[:every=N]",
        complete=("top-down", "top-down:every="),
        advanced=True,
    )
    adapter: str | None = option(
        None,
        "Train an adapter, not the backbone.",
        panel=FREEZING,
        metavar="ADAPTER",
        parse=parse_adapter,
        methods=ADAPTERS,
    )
    adapter_rate: float = option(
        10.0, "Learning rate of adapters, as a multiple of --learning-rate.", panel=FREEZING, minimum=0, advanced=True
    )
    solver: Solver = option(
        "auto",
        "How heads on a frozen backbone train. lbfgs: solved to the optimum, with L2 regularization chosen by cross-validation. "
        "sgd: gradient steps. auto: lbfgs where nothing needs steps.",
        panel=FREEZING,
        advanced=True,
    )
    layer_lr_decay: float = option(
        1.0,
        "Divide the learning rate by this factor from each block to the one below, such as 2.6.",
        panel=FREEZING,
        advanced=True,
        minimum=1,
    )
    cache_prefix: bool = option(
        False,
        "Cache the outputs of frozen lower blocks: faster, but needs space.",
        panel=FREEZING,
        advanced=True,
    )
    cache_memory: float = option(
        1.0,
        "Memory for cached outputs of frozen layers in GiB; the rest goes to disk, next to the run.",
        panel=FREEZING,
        metavar="GIB",
        minimum=0,
        advanced=True,
    )

    chosen_by_plan: ClassVar[tuple[str, ...]] = ("learning_rate",)

    @property
    def derived_defaults(self) -> dict[str, Any]:
        return {**super().derived_defaults, "learning_rate": self.usual_rate()}

    def usual_rate(self, width: int | None = None) -> float:
        """The learning rate of fresh weights (None), or of pretrained ones of a width: above mini's, it falls with the square.

        It comes to 1.3e-4 for all-MiniLM-L6-v2 (384) and 3.3e-5 for models like BERT-base (768); docs/results.md says why.
        """
        return LEARNING_RATE * min(1.0, (RATED_WIDTH / (width or RATED_WIDTH)) ** 2)

    def architecture(self, vocab_size: int | None = None) -> Architecture:
        """The shape of fresh weights; of the largest vocabulary allowed unless its size is known. Raises UsageError."""
        attention = self.attention or "bidirectional"
        length, share = self.max_length or MAX_LENGTH, self.embedding_share or 0.0
        fresh = self.fresh_architecture(vocab_size or self.vocab_size, length, attention, self.dropout)
        return replace(fresh, embedding_share=share)

    def cap_rows(self) -> int | Literal["shortest"] | None:
        """The value of `--cap`."""
        return parse_cap(self.cap)
