"""The components of a trainer: built in two stages, then saved and restored together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mtlkit.model.encoder import recompute_blocks
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.loss_weighting import LossWeighting
from mtlkit.training.balancing.methods.base import BalanceContext
from mtlkit.training.balancing.registry import make_balance
from mtlkit.training.continual.forgetting_limit import ForgettingLimit
from mtlkit.training.continual.guards import Guard
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.diagnostics.gradient_tracker import GradientTracker
from mtlkit.training.freezing.apply import lr_scales_of
from mtlkit.training.freezing.features import FeatureSource
from mtlkit.training.freezing.schedule import FreezeSchedule
from mtlkit.training.metrics_log import MetricsLog
from mtlkit.training.objectives.router import RouterPlan, routed, take_router
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.rng import RandomState
from mtlkit.training.sampling.mixture import MicroBatch, from_lists, to_lists
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.setup import (
    TaskRoles,
    assign_roles,
    idle_weights,
    make_guards,
    make_limit,
    make_step_schedule,
    make_updater,
)
from mtlkit.training.state_dict import StateDict, upgraded
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.train_state import ModelUpdater, TrainState
from mtlkit.training.validation.best_weights import BestWeights
from mtlkit.training.validation.evaluator import Evaluator
from mtlkit.training.validation.loop import EarlyStopping, ValidationLoop
from mtlkit.training.validation.small_data import EpochsLengthened


@dataclass(frozen=True)
class TrainSetup:
    """The first stage: what depends only on plan, model and data, so that errors are raised before any text is encoded.

    `frozen_params` never train; `lr_scales` are learning rates by weight, relative to the schedule's.
    """

    plan: TrainPlan
    model: MultiTaskModel
    data: TrainData
    random: RandomState
    roles: TaskRoles
    router: RouterPlan
    frozen_params: frozenset[str]
    schedule: StepSchedule
    lengthened: EpochsLengthened | None
    weighting: LossWeighting
    guards: Mapping[str, Guard]
    freezing: FreezeSchedule
    lr_scales: Mapping[str, float]


def make_setup(plan: TrainPlan, model: MultiTaskModel, data: TrainData) -> TrainSetup:
    """Moves the model to the compute device and builds the first stage. Raises UsageError."""
    options = plan.options
    model.to(plan.compute.device)
    recompute_blocks(model, options.recompute)
    random = RandomState(model, plan.compute.device, options.seed)
    roles = assign_roles(plan, data)
    router = take_router(model, list(routed(roles.labelled)), options.router)
    idle = idle_weights(plan, model, roles.trained)
    frozen_params = plan.freezing.always | idle
    schedule, longer = make_step_schedule(plan, data, roles.mixed)
    context = BalanceContext(model, list(roles.mixed), plan.balance.weights, options.balance_on, random.cpu)
    weighting = make_balance(plan.balance, context)
    guards = make_guards(plan, model, data, roles, frozen_params)
    freezing = FreezeSchedule(plan.freezing, idle)
    freezing.go_to(model, 0, 0)
    lr_scales = lr_scales_of(model, options.head_rate, options.layer_lr_decay, options.adapter_rate)
    return TrainSetup(
        plan, model, data, random, roles, router, frozen_params, schedule, longer, weighting, guards, freezing, lr_scales
    )  # fmt: skip


@dataclass(frozen=True)
class TrainComponents:
    """The second stage: what changes in every step or measures the model, and the state of the whole training."""

    setup: TrainSetup
    log: MetricsLog
    evaluator: Evaluator
    best_weights: BestWeights
    validation: ValidationLoop
    stopping: EarlyStopping
    losses: TaskLosses
    updater: ModelUpdater
    tracker: GradientTracker[MicroBatch]
    start_model: StartModel | None = None
    limit: ForgettingLimit | None = None
    state: TrainState = field(default_factory=TrainState)

    def state_dict(self, *, complete: bool = False) -> StateDict:
        """The state for `load_state_dict`, between two steps. `complete`: after the last one."""
        parts = {
            "trainer": self.state.state_dict(complete=complete),
            "schedule": self.setup.schedule.state_dict(),
            "weighting": StateDict(plain=self.setup.weighting.state_dict()),
            "tracker": StateDict(plain={**self.tracker.state_dict(), "last": to_lists(self.tracker.pairs.last)}),
            "validation": self.validation.state_dict(),
            **({"limit": self.limit.state_dict()} if self.limit else {}),
            "updater": self.updater.state_dict(),
        }
        return StateDict.join(parts)

    def load_state_dict(self, state: StateDict, *, extended: bool) -> None:
        """Restores a saved state, also of an earlier version. `extended`: training continues past what was the last epoch."""
        state, setup = upgraded(state), self.setup
        self.state.load_state_dict(state.part("trainer"))
        setup.schedule.load_state_dict(state.part("schedule"))
        setup.freezing.go_to(setup.model, setup.schedule.locate(self.state.step)[0], self.state.step)
        setup.weighting.load_state_dict(dict(state.plain["weighting"]))
        self.tracker.load_state_dict(state.plain["tracker"], from_lists(state.plain["tracker"]["last"]))
        self.tracker.without(setup.schedule.left)
        self.validation.load_state_dict(state.part("validation"))
        if self.limit:
            self.limit.load_state_dict(state.part("limit"))
        self.evaluator.moved()
        if extended:
            self.state.ended, self.best_weights.worse = False, 0
        self.updater.load_state_dict(state.part("updater"))


def make_components(setup: TrainSetup, log: MetricsLog, features: FeatureSource) -> TrainComponents:
    """Builds the second stage from the first and the source of vectors. Evaluates the starting model if forgetting matters."""
    plan, model, roles, schedule, frozen_params = setup.plan, setup.model, setup.roles, setup.schedule, setup.frozen_params
    options, probe = plan.options, setup.data.probe
    evaluator = Evaluator(model, roles.all, plan.compute, plan.fixed_vectors, plan.ranks)
    start_model = StartModel(model, roles.known, probe, evaluator, setup.data.old_rows) if probe is not None else None
    keep, last = options.keep_best_per_task, plan.stop is not None
    best_weights = BestWeights(model, roles.trained, options.select, frozen_params, keep, last=last)
    losses = TaskLosses(roles.mixed, features, setup.guards)
    limit = make_limit(plan, model, roles, schedule.full, frozen_params, evaluator)
    weight_decay = 0.0 if any(guard.replaces_decay for guard in setup.guards.values()) else options.weight_decay
    updater = make_updater(plan, model, schedule, setup.random, weight_decay, setup.lr_scales, frozen_params)
    return TrainComponents(
        setup=setup,
        log=log,
        evaluator=evaluator,
        best_weights=best_weights,
        validation=ValidationLoop(evaluator, best_weights, schedule, setup.weighting, log, start_model),
        stopping=EarlyStopping(options, best_weights, schedule),
        losses=losses,
        updater=updater,
        tracker=GradientTracker(model, list(roles.mixed), losses, plan.compute, options.track_every if plan.ranks.is_main else 0),
        start_model=start_model,
        limit=limit,
    )
