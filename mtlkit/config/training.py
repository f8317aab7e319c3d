"""Options of the commands that train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from mtlkit.config.architecture import Architecture, Attention
from mtlkit.config.common import MODEL, TRAINING, ShapeOptions, TrainingOptions
from mtlkit.config.option import COMMON, option, whole
from mtlkit.config.registries.balancing import BALANCING, split_balance
from mtlkit.config.registries.guards import GUARDS, parse_guard
from mtlkit.config.registries.schedules import SCHEDULES, parse_epoch_length, parse_schedule
from mtlkit.config.task_training import TaskTrainingOptions
from mtlkit.errors import UsageError, shorten

BalanceOn = Literal["vectors", "parameters"]
ObjectiveName = Literal["classify", "pairs", "distill", "similarity"]
DistillLoss = Literal["vector", "matrix", "both"]
TokenInit = Literal["random", "teacher"]
TeacherPrecision = Literal["auto", "fp32", "bf16", "int8"]

OBJECTIVE, KEEPING, TASKS = "Objective", "Existing tasks", "Multiple tasks"


@dataclass(frozen=True, kw_only=True)
class PretrainOptions(ShapeOptions, TrainingOptions):
    """Options of `mtlkit pretrain`."""

    sources: list[str] = option(
        ["sample:topic", "sample:sentiment"],
        "Texts: sample:NAME, files, folders or Hugging Face ids.",
        panel=COMMON,
        positional=True,
        metavar="SOURCE...",
        complete="source",
    )
    epochs: int = option(20, "Passes over the texts.", panel=COMMON, minimum=1, rank=4)
    tokens: int | None = option(None, "Tokens to train on, instead of --epochs.", panel=COMMON, minimum=1, rank=4)
    learning_rate: float = option(2e-3, "Peak learning rate.", panel=COMMON, minimum=0, rank=7)
    context: int = option(256, "Context length in tokens.", panel=MODEL, minimum=8)
    batch_tokens: int = option(2048, "Tokens per step.", panel=TRAINING, minimum=8)


@dataclass(frozen=True, kw_only=True)
class TrainSentenceOptions(TaskTrainingOptions):
    """Options of `mtlkit train-sentence`."""

    task: str = option(
        "topic=sample:topic",
        "The task and its data.",
        panel=COMMON,
        metavar="NAME=SOURCE",
        rank=1,
        complete="source",
    )
    objective: ObjectiveName = option(
        "classify",
        "classify: labels. pairs: matching texts. distill: a teacher's vectors. similarity: scored pairs.",
        panel=COMMON,
        rank=1,
    )
    teacher: str | None = option(
        None, "Model for distill to learn from: a folder or a hub id.", metavar="MODEL", panel=OBJECTIVE, complete="run"
    )
    teacher_precision: TeacherPrecision = option(
        "auto", "Number format of the teacher; int8 is fastest on a CPU.", panel=OBJECTIVE, advanced=True
    )
    distill_loss: DistillLoss = option(
        "vector", "Learn the teacher's vectors, the matrix of their cosines in a batch, or both.", panel=OBJECTIVE
    )
    token_init: TokenInit = option(
        "random", "teacher: initialize new token embeddings with the teacher's vectors of the tokens.", panel=OBJECTIVE
    )
    temperature: float = option(
        0.05, "Temperature of the contrastive loss of pairs; lower is stricter.", panel=OBJECTIVE, minimum=0.001
    )
    matryoshka: str | None = option(
        None,
        "Also train shorter vectors, such as 128,64, so that vectors can be cut; not for classify.",
        panel=OBJECTIVE,
        metavar="LENGTHS",
    )
    attention: Attention | None = option(
        "bidirectional", "What a token sees: the whole text, or only what comes before it.", panel=MODEL, advanced=True
    )
    schedule: ClassVar[str] = "round-robin"  # these are options where there are several tasks
    epoch_by: ClassVar[str] = "longest"
    balance: ClassVar[str] = "sum"
    balance_on: ClassVar[BalanceOn] = "vectors"
    select: ClassVar[str] = "mean"
    router: ClassVar[bool] = False
    task_patience: ClassVar[int] = 0
    keep_best_per_task: ClassVar[bool] = False
    max_forgetting: ClassVar[float | None] = None

    @property
    def tasks(self) -> list[str]:
        return [self.task]

    def architecture(self, vocab_size: int | None = None) -> Architecture:
        made = super().architecture(vocab_size)
        return replace(made, pooling="weighted") if self.token_init == "teacher" else made

    def widths(self, dim: int) -> list[int]:
        """The lengths of a vector that `--matryoshka` trains, the whole one first. Raises UsageError."""
        cuts = [part.strip() for part in (self.matryoshka or "").split(",") if part.strip()]
        lengths = {whole(cut, 1) or dim + 1 for cut in cuts}
        if max(lengths, default=0) > dim:
            shown = shorten(self.matryoshka or "")
            raise UsageError(f"--matryoshka {shown!r} is not a list of lengths; give numbers from 1 to {dim}, such as 128,64")
        return sorted({dim, *lengths}, reverse=True)


@dataclass(frozen=True, kw_only=True)
class TrainMtlOptions(TaskTrainingOptions):
    """Options of `mtlkit train-mtl`."""

    task: list[str] = option(
        ["topic=sample:topic", "sentiment=sample:sentiment"],
        "A task and its data; repeatable.",
        panel=COMMON,
        metavar="NAME=SOURCE",
        rank=1,
        complete="source",
    )
    objective: ObjectiveName = "classify"
    schedule: str = option(
        "round-robin",
        "Order of batches.",
        panel=TASKS,
        metavar="SCHEDULE",
        parse=parse_schedule,
        methods=SCHEDULES,
    )
    balance: str = option(
        "sum",
        "How to weight the losses.",
        panel=TASKS,
        metavar="METHOD",
        parse=split_balance,
        methods=BALANCING,
    )
    epoch_by: str = option(
        "longest",
        "Length of an epoch: until the longest or the shortest task was seen once, or steps:N.",
        panel=TASKS,
        metavar="LENGTH",
        parse=parse_epoch_length,
        complete=("longest", "shortest", "steps:"),
        advanced=True,
    )
    baselines: bool = option(
        False,
        "Also train each task alone, with the same start and batches, and report what sharing gained or cost.",
        panel=TASKS,
    )
    seeds: int = option(
        1, "Number of seeds for --baselines; 3 or more separate gains from noise.", panel=TASKS, minimum=1, advanced=True
    )
    select: str = option(
        "mean",
        "Score that picks the best epoch: the mean or min over tasks, or the name of a task.",
        panel=TASKS,
        metavar="SCORE",
        advanced=True,
        complete=("mean", "min"),
    )
    router: bool = option(
        False,
        "Train a router, so that predict uses the heads that fit a text.",
        panel=TASKS,
        advanced=True,
    )
    keep_best_per_task: bool = option(
        False, "Also save the best weights of each task, as models in best/ of the run.", panel=TASKS, advanced=True
    )
    task_patience: int = option(
        0,
        "Drop a task after this many epochs without a better score (0 = never).",
        panel=TASKS,
        metavar="EPOCHS",
        minimum=0,
        advanced=True,
    )
    balance_on: BalanceOn = option(
        "vectors",
        "What torchjd methods compare: gradients at the sentence vectors (cheap), or of the backbone's parameters.",
        panel=TASKS,
        advanced=True,
    )
    watch: list[str] = option(
        [],
        "Existing task to evaluate, but not train, before and after each epoch; NAME alone uses its own data. Repeatable.",
        panel=KEEPING,
        metavar="NAME[=SOURCE]",
        complete="watched",
    )
    rehearse: list[str] = option(
        [],
        "Watched task to mix into training, with SHARE as many batches as the others (0.2 by default). Repeatable.",
        panel=KEEPING,
        metavar="TASK[:SHARE]",
        complete="task",
    )
    guard: list[str] = option(
        [],
        "Against forgetting. Repeatable.",
        panel=KEEPING,
        metavar="GUARD",
        parse=parse_guard,
        methods=GUARDS,
    )
    max_forgetting: float | None = option(
        None,
        "Stop when a watched task drops by more than this many points, and keep the last weights within.",
        panel=KEEPING,
        minimum=0,
        metavar="POINTS",
    )

    @property
    def tasks(self) -> list[str]:
        return self.task
