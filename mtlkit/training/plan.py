"""The plan of a training: validated options, resolved once, and the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.config.registries.balancing import BalanceChoice
from mtlkit.config.registries.guards import GuardChoice
from mtlkit.config.registries.schedules import EpochLength, ScheduleChoice
from mtlkit.config.task_training import LEARNING_RATE
from mtlkit.data.batching import Rows
from mtlkit.data.encoded import Encoded
from mtlkit.data.sources.grammar.task_names import named_sources
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.objectives.base import Objective

Options = TrainMtlOptions | TrainSentenceOptions


@dataclass(frozen=True)
class Stop:
    """Where a training ends before the last epoch that its learning rate is planned for: after this `share` of epoch `epoch`.

    `passes` are those of an epoch over the rows. Tasks in `left` have no batches from an epoch (from 0) on.
    """

    epoch: int
    share: float
    passes: int
    left: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class TestSource:
    """Where the test rows of a task come from. `named`: from data of their own, else the test split of what it is trained on.
    `required`: the task was named, so that it is an error if there are none."""

    __test__ = False  # pytest takes classes with such a name for tests
    source: str
    named: bool = False
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainPlan:
    """Validated options, and the parsed values of those with a grammar.

    `start` is the model to start from (None: fresh weights). `watched` are the sources of tasks that are only evaluated; so are
    tasks whose heads are frozen. `rehearsed` are the shares of watched tasks whose rows are still trained on. `epoch_steps` is
    the length of an epoch in the checkpoint from which the training resumes. `usual_rate` is the learning rate unless
    `--learning-rate` is given. With `stop`, the training ends there, and no score
    chooses an epoch. An `adapter` trains in place of the backbone, for all tasks or one for each. `ranks` are the
    processes that train together. `tests` are the test rows of `--test`, by task.
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
    epoch_steps: int | None = None
    stop: Stop | None = None
    adapter: AdapterSpec | None = None
    ranks: Ranks = ALONE
    tests: Mapping[str, TestSource] = field(default_factory=dict)
    usual_rate: float = LEARNING_RATE

    @property
    def learning_rate(self) -> float:
        """The peak learning rate of the backbone."""
        return self.usual_rate if self.options.learning_rate is None else self.options.learning_rate

    @property
    def own_adapters(self) -> bool:
        """Whether every task trains an adapter of its own."""
        return self.adapter is not None and self.options.adapter_per == "task"

    @property
    def fixed_vectors(self) -> bool:
        """Whether the vectors that heads train on never change."""
        return self.freezing.keeps("backbone") and self.adapter is None

    @property
    def fixed_backbone(self) -> bool:
        """Whether tasks that do not train keep the vectors of their texts."""
        return self.freezing.keeps("backbone") and (self.adapter is None or self.own_adapters)

    @property
    def sources(self) -> dict[str, str]:
        """The source of each task of `--task`."""
        return named_sources(self.options.tasks)

    @property
    def init(self) -> str:
        """The name of the model to start from, or `scratch`."""
        return str(self.start) if self.start else "scratch"

    def trained(self, objectives: Mapping[str, Objective]) -> dict[str, Objective]:
        """The objectives that train: neither watched nor with a frozen head."""
        return {
            name: objective
            for name, objective in objectives.items()
            if name not in self.watched and not (objective.head and self.freezing.keeps(objective.head))
        }


@dataclass(frozen=True)
class TrainData:
    """The data of a training: objectives by name, each with its training and validation rows.

    `known` are the tasks whose heads come from the starting model. `classes` has the class of each training row, (N,), for tasks
    that sample all classes equally often. `probe` are the tokens of fixed texts, for measuring how much vectors change (None: not
    measured). `old_rows` are the validation rows of the old classes of tasks whose heads were extended.
    """

    objectives: Mapping[str, Objective]
    known: frozenset[str] = frozenset()
    classes: Mapping[str, Rows] = field(default_factory=dict)
    probe: Encoded | None = None
    old_rows: Mapping[str, Rows] = field(default_factory=dict)
