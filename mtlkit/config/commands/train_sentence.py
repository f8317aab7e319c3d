"""Options of `mtlkit train-sentence`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from mtlkit.config.architecture import Architecture, Attention
from mtlkit.config.common import MODEL, OBJECTIVE, TRAINING
from mtlkit.config.option import COMMON, option, whole
from mtlkit.config.task_training import MAX_PAIRS, AdapterPer, BalanceOn, ObjectiveName, TaskTrainingOptions
from mtlkit.errors import UsageError, shorten

DistillLoss = Literal["vector", "matrix", "both"]
Distance = Literal["cosine", "euclidean", "manhattan"]
TokenInit = Literal["random", "teacher"]
BATCH_SIZES: dict[ObjectiveName, int] = {"labels": 16, "similarity": 16}  # defaults; other objectives have no limit
TeacherPrecision = Literal["auto", "fp32", "bf16", "int8"]


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
        "classify: labels, with a head. labels: the same labels, by contrast, for few texts per label. pairs: matching texts. "
        "triplets: matching texts and one that does not match. distill: a teacher's vectors. similarity: scored pairs.",
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
        0.05, "Temperature of the contrastive loss of pairs and labels; lower is stricter.", panel=OBJECTIVE, minimum=0.001
    )
    margin: float = option(
        0.2, "How much nearer than the negative triplets want the positive, at least.", panel=OBJECTIVE, minimum=0
    )
    distance: Distance = option("cosine", "Distance of triplets; cosine is 1 - the cosine.", panel=OBJECTIVE, advanced=True)
    max_pairs: int = option(
        MAX_PAIRS,
        "Pairs of texts that labels compares per epoch, at most; each epoch draws others (0 = no limit).",
        panel=OBJECTIVE,
        metavar="N",
        minimum=0,
    )
    matryoshka: str | None = option(
        None,
        "Also train shorter vectors, such as 128,64, so that vectors can be cut; not for classify.",
        panel=OBJECTIVE,
        metavar="LENGTHS",
    )
    batch_size: int | None = option(
        None,
        "Texts or pairs per batch, at most, in addition to --batch-tokens (0 = no limit).",
        panel=TRAINING,
        metavar="N",
        minimum=0,
        default_text="16 for labels and similarity, else 0",
    )
    attention: Attention | None = option(
        None,
        "What a token sees: the whole text, or only what comes before it.",
        panel=MODEL,
        default_text="bidirectional; the starting model's if it runs through transformers",
        advanced=True,
    )
    default_attention: ClassVar[Attention | None] = "bidirectional"  # whatever the start has: a base is causal
    schedule: ClassVar[str] = "round-robin"  # from here on: options of train-mtl, fixed for one task
    adapter_per: ClassVar[AdapterPer] = "all"
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

    @property
    def most_examples(self) -> int:
        """The most texts or pairs in a batch; 0 for no limit."""
        size: int = self.settled("batch_size")
        return size

    @property
    def derived_defaults(self) -> dict[str, Any]:
        return {**super().derived_defaults, "batch_size": BATCH_SIZES.get(self.objective, 0)}

    def architecture(self, vocab_size: int | None = None) -> Architecture:
        architecture = super().architecture(vocab_size)
        return replace(architecture, pooling="weighted") if self.token_init == "teacher" else architecture

    def widths(self, dim: int) -> list[int]:
        """The vector lengths that `--matryoshka` trains, the longest first. Raises UsageError."""
        cuts = [part.strip() for part in (self.matryoshka or "").split(",") if part.strip()]
        lengths = {whole(cut, 1) or dim + 1 for cut in cuts}
        if max(lengths, default=0) > dim:
            shown = shorten(self.matryoshka or "")
            raise UsageError(f"--matryoshka {shown!r} is not a list of lengths; give numbers from 1 to {dim}, such as 128,64")
        return sorted({dim, *lengths}, reverse=True)
