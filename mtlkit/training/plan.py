"""The plan of a training: everything that is settled before its first step. Built once, from validated options and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from mtlkit.config.registries.balancing import BalanceChoice
from mtlkit.config.registries.guards import GuardChoice
from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.data.batching import Rows
from mtlkit.data.encoded import Encoded
from mtlkit.data.sources.spec import named_sources
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.objectives.base import Objective

Options = TrainMtlOptions | TrainSentenceOptions


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """Validated options, and what those with a grammar mean.

    `start` is the model to start from (None: fresh weights). `watched` names the sources of tasks that are only evaluated, as is
    any task whose head is frozen; `rehearsed` gives the shares of watched tasks that stay in the mix.
    """

    options: Options
    compute: Compute
    freezing: FreezeRules
    start: ModelRef | None = None
    schedule: ScheduleChoice = ScheduleChoice()
    epoch_by: EpochLength = EpochLength()
    balance: BalanceChoice = BalanceChoice()
    watched: Mapping[str, str] = field(default_factory=dict)
    rehearsed: Mapping[str, Fraction] = field(default_factory=dict)
    guards: tuple[GuardChoice, ...] = ()

    @property
    def sources(self) -> dict[str, str]:
        """The data of each task to train."""
        return named_sources(self.options.tasks)

    @property
    def init(self) -> str:
        """The name of the model to start from, which a newer run does not change."""
        return str(self.start) if self.start else "scratch"

    def trained(self, objectives: Mapping[str, Objective]) -> dict[str, Objective]:
        """Those that learn: neither watched nor with a frozen head."""
        return {
            name: one
            for name, one in objectives.items()
            if name not in self.watched and not (one.head and self.freezing.keeps(one.head))
        }


@dataclass(frozen=True)
class TrainData:
    """What a training learns from: objectives by name, each with its training and validation rows.

    `known` are tasks whose heads the starting model brought. Of tasks in `classes`, the class of each training row, every class
    is drawn equally often. `probe` holds the tokens of fixed texts, which show how far vectors moved (None: not measured).
    """

    objectives: Mapping[str, Objective]
    known: frozenset[str] = frozenset()
    classes: Mapping[str, Rows] = field(default_factory=dict)
    probe: Encoded | None = None
