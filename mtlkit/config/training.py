"""Options of the commands that train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from mtlkit.config.architecture import Architecture, Attention
from mtlkit.config.common import DATA, MODEL, TRAINING, ShapeOptions, TrainingOptions
from mtlkit.config.numbers import whole
from mtlkit.config.option import option
from mtlkit.config.schedules import parse_epoch_length, parse_schedule
from mtlkit.config.task_training import TaskTrainingOptions
from mtlkit.errors import UsageError, shorten

BalanceOn = Literal["vectors", "parameters"]
ObjectiveName = Literal["classify", "pairs", "distill", "similarity"]
DistillLoss = Literal["vector", "matrix", "both"]
TokenInit = Literal["random", "teacher"]
TeacherPrecision = Literal["auto", "fp32", "bf16", "int8"]

OBJECTIVE, KEEPING, TASKS = "Objective", "Keeping what was learned", "Several tasks"


@dataclass(frozen=True, kw_only=True)
class PretrainOptions(ShapeOptions, TrainingOptions):
    """Options of `mtlkit pretrain`."""

    sources: list[str] = option(
        ["sample:topic", "sample:sentiment"],
        "Texts: sample:NAME, files, folders or Hugging Face ids.",
        panel=DATA,
        positional=True,
        metavar="SOURCE...",
    )
    context: int = option(256, "Tokens that the model sees at a time.", panel=MODEL, minimum=8)
    epochs: int = option(20, "Passes over the texts.", panel=TRAINING, minimum=1)
    tokens: int | None = option(None, "Tokens to train on, in place of --epochs.", panel=TRAINING, minimum=1)
    batch_tokens: int = option(2048, "Tokens of a step.", panel=TRAINING, minimum=8)
    learning_rate: float = option(2e-3, "Peak learning rate.", panel=TRAINING, minimum=0)


@dataclass(frozen=True, kw_only=True)
class TrainSentenceOptions(TaskTrainingOptions):
    """Options of `mtlkit train-sentence`."""

    objective: ObjectiveName = option(
        "classify",
        "classify: labels; pairs: texts that belong together; distill: a teacher's vectors; similarity: scores of two texts.",
        panel=OBJECTIVE,
    )
    task: str = option(
        "topic=sample:topic",
        "The data, NAME=SOURCE: what to fine-tune on, whatever the objective.",
        panel=DATA,
        metavar="NAME=SOURCE",
    )
    teacher: str | None = option(None, "Model that distill learns from: a folder, or a hub id.", panel=OBJECTIVE)
    teacher_precision: TeacherPrecision = option(
        "auto", "Arithmetic of the teacher; int8 is the fastest on a CPU.", panel=OBJECTIVE
    )
    distill_loss: DistillLoss = option(
        "vector", "Learn the teacher's vectors, the matrix of their cosines in a batch, or both.", panel=OBJECTIVE
    )
    token_init: TokenInit = option(
        "random", "teacher: token embeddings of fresh weights start as the teacher's vectors of the tokens.", panel=OBJECTIVE
    )
    temperature: float = option(0.05, "What pairs divides cosines by; lower is stricter.", panel=OBJECTIVE, minimum=0.001)
    matryoshka: str | None = option(
        None, "Lengths that vectors can be cut to afterwards, such as 128,64; not with classify.", panel=OBJECTIVE
    )
    attention: Attention | None = option("bidirectional", "What a token sees: the whole text, or what came before.", panel=MODEL)
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
        "A task, NAME=SOURCE; repeatable.",
        panel=DATA,
        metavar="NAME=SOURCE",
    )
    objective: ObjectiveName = "classify"
    schedule: str = option(
        "round-robin",
        "round-robin: a batch of each task in turn; joint: every step holds a batch of each; proportional or "
        "temperature:T[:CAP]: drawn by rows^(1/T), at most CAP; sequential: task after task.",
        panel=TASKS,
        parse=parse_schedule,
    )
    epoch_by: str = option(
        "longest",
        "How long an epoch is: until the longest or the shortest task has been seen once, or steps:N.",
        panel=TASKS,
        parse=parse_epoch_length,
    )
    balance: str = option(
        "sum",
        "How to weigh the losses: sum, mean, normalized (by the logarithm of the number of classes), weights:TASK=1,..., "
        "uncertainty, dwa, famo; or by gradients with TorchJD: torchjd:NAME, where NAME is pcgrad, cagrad, mgda, imtlg, "
        "alignedmtl, fairgrad (pip install 'mtlkit\\[torchjd]'), upgrad, dualproj or nashmtl (mtlkit\\[torchjd-gpl]).",
        panel=TASKS,
    )
    balance_on: BalanceOn = option(
        "vectors",
        "What torchjd: methods compare: gradients at the vectors (cheap), or those of the backbone's weights.",
        panel=TASKS,
    )
    router: bool = option(
        False,
        "Teach the trained model to tell the tasks apart: predict then answers by the heads that fit.",
        panel=TASKS,
    )
    select: str = option(
        "mean", "What the best epoch is chosen by: the mean or the min of the tasks' scores, or one task's.", panel=TASKS
    )
    keep_best_per_task: bool = option(
        False, "Save the weights of each task's best evaluation, too, each as a model under best/ in the run.", panel=TASKS
    )
    task_patience: int = option(
        0, "A task without a better score in this many epochs leaves the mix; 0 keeps it in.", panel=TASKS, minimum=0
    )
    baselines: bool = option(
        False,
        "Train each task alone, too, from the same start and with as many batches, and say what sharing brought; what was "
        "trained once is kept.",
        panel=TASKS,
    )
    seeds: int = option(
        1, "Seeds that --baselines compares, from --seed on; 3 or more tell noise from gain.", panel=TASKS, minimum=1
    )
    watch: list[str] = option(
        [],
        "A task of the starting model that is only evaluated: before, after each epoch, at the end. NAME alone takes the data "
        "that its run was trained on; repeatable.",
        panel=KEEPING,
        metavar="NAME[=SOURCE]",
    )
    rehearse: list[str] = option(
        [],
        "A watched task of which some batches stay in the mix: one for every 1/SHARE batches of the others (0.2 without it); "
        "repeatable.",
        panel=KEEPING,
        metavar="TASK[:SHARE]",
    )
    guard: list[str] = option(
        [],
        "l2sp[:ALPHA[:BETA]] pulls weights towards the start, lwf[:ALPHA[:T]] keeps what old heads say of the new texts, "
        "ewc[:LAMBDA] pulls those weights that matter to watched tasks; repeatable.",
        panel=KEEPING,
        metavar="GUARD",
    )
    max_forgetting: float | None = option(
        None,
        "Stop when a watched task falls by more than so many points on validation, and keep the last weights within.",
        panel=KEEPING,
        minimum=0,
        metavar="POINTS",
    )

    @property
    def tasks(self) -> list[str]:
        return self.task
