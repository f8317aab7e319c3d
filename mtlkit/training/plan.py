"""What is settled before a training begins: what is frozen, how tasks are mixed, and how what was learned before is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from mtlkit.config.schedules import EpochLength, ScheduleChoice
from mtlkit.config.training import BalanceOn
from mtlkit.data.batching import Rows
from mtlkit.training.balancing.registry import BalanceChoice
from mtlkit.training.continual.guards import GuardChoice
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.objectives.base import Objective


@dataclass(frozen=True)
class MixtureOptions:
    """How several tasks share a training: whose batch comes when, how long an epoch is (and how many batches make a step), how
    losses are weighed, what the best epoch is chosen by (`mean`, `min` or a task), after how many epochs without a better score a
    task leaves (0: never), whether the weights of each task's best evaluation are kept."""

    schedule: ScheduleChoice = ScheduleChoice()
    epoch_by: EpochLength = EpochLength()
    balance: BalanceChoice = BalanceChoice()
    balance_on: BalanceOn = "vectors"
    select: str = "mean"
    patience: int = 0
    keep_best: bool = False


@dataclass(frozen=True)
class TrainPlan:
    """The terms of a training.

    `known` are the tasks whose heads the starting model brought, `watched` those that are only evaluated, besides any whose
    head is frozen; `rehearsed` are watched tasks of which some batches stay in the mix; `max_forgetting` is in points. Of the
    tasks in `classes`, which gives the class of each training row, every class is drawn equally often. `router`: the model
    is taught to tell its tasks apart.
    """

    freezing: FreezeRules
    mixing: MixtureOptions = MixtureOptions()
    known: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    rehearsed: Mapping[str, Fraction] = field(default_factory=dict)
    guards: tuple[GuardChoice, ...] = ()
    max_forgetting: float | None = None
    classes: Mapping[str, Rows] = field(default_factory=dict)
    router: bool = False

    def trained(self, objectives: Mapping[str, Objective]) -> dict[str, Objective]:
        """Those that learn: neither watched by request nor with a frozen head."""
        return {
            name: one
            for name, one in objectives.items()
            if name not in self.watched and not (one.head and self.freezing.keeps(one.head))
        }
