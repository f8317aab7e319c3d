"""Options of `mtlkit train-mtl`."""

from __future__ import annotations

from dataclasses import dataclass

from mtlkit.config.option import COMMON, option
from mtlkit.config.registries.balancing import BALANCING, split_balance
from mtlkit.config.registries.guards import GUARDS, parse_guard
from mtlkit.config.registries.schedules import SCHEDULES, parse_epoch_length, parse_schedule
from mtlkit.config.task_training import FREEZING, AdapterPer, BalanceOn, ObjectiveName, TaskTrainingOptions

TASKS, KEEPING = "Multiple tasks", "Existing tasks"
FEW_SHOT_RATE = 5e-5  # of the contrast with few labels, whatever the width


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
    adapter_per: AdapterPer = option(
        "all",
        "all: one --adapter for all tasks, merged into the weights where a run is used. task: one for each, on a backbone that "
        "never changes, so that other tasks keep their answers to the last bit.",
        panel=FREEZING,
        advanced=True,
    )
    few_shot: bool = option(
        False,
        "For few rows per label: first bring texts with the same label together by contrast, then solve the heads on the frozen "
        "backbone.",
        panel=COMMON,
        rank=6,
    )
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
        advanced=True,
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

    def usual_rate(self, width: int | None = None) -> float:
        return FEW_SHOT_RATE if self.few_shot else super().usual_rate(width)

    @property
    def tasks(self) -> list[str]:
        return self.task
