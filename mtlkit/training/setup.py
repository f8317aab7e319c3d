"""Builds the components of a trainer from its plan, model and data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.registries.adapters import SHARED
from mtlkit.config.registries.guards import GUARDS
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import adapter_part
from mtlkit.training.continual.forgetting_limit import ForgettingLimit
from mtlkit.training.continual.guards import Guard, GuardContext
from mtlkit.training.freezing.apply import apply_freeze, prefix_depth
from mtlkit.training.freezing.cache import cache_hidden_states, cache_vectors
from mtlkit.training.freezing.features import CachedVectors, FeatureSource, UpperBackbone, WholeBackbone, stores_of_tasks
from mtlkit.training.freezing.rules import prefix_of
from mtlkit.training.gradient_cache import GradientCache
from mtlkit.training.incidents import FeaturesCached
from mtlkit.training.objectives.base import HeadObjective, Objective
from mtlkit.training.objectives.labels import LabelsObjective
from mtlkit.training.objectives.pairs import PairsObjective
from mtlkit.training.optimizer import LearningRate, ScheduledOptimizer
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.rng import RandomState
from mtlkit.training.sampling.columns import column_units, different_texts, lengths_of
from mtlkit.training.sampling.floor import lengthened, lengthening
from mtlkit.training.sampling.mixture import TaskMixture, make_samplers
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.train_state import ModelUpdater
from mtlkit.training.validation.evaluator import Evaluator
from mtlkit.training.validation.small_data import EpochsLengthened


@dataclass(frozen=True)
class TaskRoles:
    """The objectives of a training by role.

    `trained` are trained, `watched` are only evaluated, and `mixed` have batches: they are trained or rehearsed. `labelled`
    have a head; of these, `known` are those whose head comes from the starting model.
    """

    all: Mapping[str, Objective]
    trained: Mapping[str, Objective]
    watched: Mapping[str, Objective]
    mixed: Mapping[str, Objective]
    labelled: Mapping[str, HeadObjective]
    known: Mapping[str, HeadObjective]


def assign_roles(plan: TrainPlan, data: TrainData) -> TaskRoles:
    objectives, trained = data.objectives, plan.trained(data.objectives)
    labelled = {name: objective for name, objective in objectives.items() if isinstance(objective, HeadObjective)}
    return TaskRoles(
        all=objectives,
        trained=trained,
        watched={name: objective for name, objective in objectives.items() if name not in trained},
        mixed={name: objective for name, objective in objectives.items() if name in trained or name in plan.rehearsed},
        labelled=labelled,
        known={name: objective for name, objective in labelled.items() if name in data.known},
    )


def idle_weights(plan: TrainPlan, model: MultiTaskModel, trained: Mapping[str, Objective]) -> frozenset[str]:
    """The weights of heads and adapters that no objective trains."""
    used = {objective.head for objective in trained.values()}
    heads = [f"head:{task}" for task in model.tasks if f"head:{task}" not in used]
    train = {SHARED, *trained} if plan.adapter is not None else set()
    idle = tuple(map(prefix_of, [*heads, *(adapter_part(task) for task in model.adapters if task not in train)]))
    return frozenset(name for name, _ in model.named_parameters() if name.startswith(idle))


def make_step_schedule(
    plan: TrainPlan, data: TrainData, mixed: Mapping[str, Objective]
) -> tuple[StepSchedule, EpochsLengthened | None]:
    """The tasks and rows of every step, and the event about longer epochs. Raises UsageError."""
    options = plan.options
    units = column_units({name: one.train for name, one in mixed.items() if isinstance(one, HeadObjective)}, plan.rehearsed)
    lengths = lengths_of({name: objective.train for name, objective in mixed.items()}, units)
    texts = {name: objective.train.pairs for name, objective in mixed.items() if isinstance(objective, PairsObjective)}
    most = options.most_examples if isinstance(options, TrainSentenceOptions) else 0
    samplers = make_samplers(lengths, options.batch_tokens, options.seed, data.classes, texts, most)
    contrasts = {name: objective for name, objective in mixed.items() if isinstance(objective, LabelsObjective)}
    by_label = {name: contrast.sampler(name, options.batch_tokens, options.seed) for name, contrast in contrasts.items()}
    mixture = TaskMixture({**samplers, **by_label}, plan.schedule, plan.rehearsed, plan.epoch_by, units)
    longer = lengthened(mixture, plan)
    if stop := plan.stop:
        return StepSchedule(longer, stop.epoch, options.batches_per_step, left=stop.left, share=stop.share), None
    return StepSchedule(longer, options.epochs, options.batches_per_step), lengthening(mixture, longer, options)


def make_guards(
    plan: TrainPlan, model: MultiTaskModel, data: TrainData, roles: TaskRoles, frozen_params: frozenset[str]
) -> dict[str, Guard]:
    """The guards by name, built from the model before its first step."""
    apply_freeze(model, frozen_params)  # weights that thaw later are guarded, too
    trainable = frozenset(name for name, _ in model.named_parameters()) - frozen_params
    old = {name: objective for name, objective in roles.known.items() if name in roles.watched}
    context = GuardContext(model, trainable, roles.trained, old, data.known, plan.compute, plan.options.seed)
    return {choice.name: GUARDS[choice.name].make(context, *choice.numbers) for choice in plan.guards}


def make_limit(
    plan: TrainPlan,
    model: MultiTaskModel,
    roles: TaskRoles,
    steps_an_epoch: int,
    frozen_params: frozenset[str],
    evaluator: Evaluator,
) -> ForgettingLimit | None:
    """The limit on forgetting; None without `--max-forgetting`."""
    points = plan.options.max_forgetting
    if points is None:
        return None
    return ForgettingLimit(model, roles.watched, points, steps_an_epoch, frozen_params, evaluator)


class ScheduledRate:
    """The learning rate as a function of the position within the epochs, which become shorter when tasks leave the training."""

    def __init__(self, rate: LearningRate, schedule: StepSchedule) -> None:
        self.rate, self.schedule = rate, schedule

    def at(self, step: int) -> float:
        return self.rate.at(self.schedule.position(step))


def make_updater(
    plan: TrainPlan,
    model: MultiTaskModel,
    schedule: StepSchedule,
    random: RandomState,
    weight_decay: float,
    lr_scales: Mapping[str, float],
    frozen_params: frozenset[str],
) -> ModelUpdater:
    """The optimizer with its learning rate schedule, and the rest of the state that a step changes."""
    options, compute = plan.options, plan.compute
    rate = ScheduledRate(LearningRate(plan.learning_rate, schedule.full * options.epochs, options.warmup), schedule)
    weights = dict(model.named_parameters())
    optimizer = ScheduledOptimizer(
        weights, rate, weight_decay=weight_decay, clip=options.clip, lr_scales=lr_scales, muon=options.muon
    )
    return ModelUpdater(model, optimizer, compute, random=random, on_spike=options.on_spike, frozen_params=frozen_params)


@dataclass(frozen=True)
class FeatureSetup:
    """The source of the vectors that heads train on, and the event about what was cached."""

    source: FeatureSource
    cached: FeaturesCached | None = None


def make_features(
    plan: TrainPlan,
    model: MultiTaskModel,
    roles: TaskRoles,
    frozen_params: frozenset[str],
    folder: Path | None,
    random: RandomState | None = None,
) -> FeatureSetup:
    """Chooses where vectors come from, and fills the cache if there is one.

    A frozen backbone encodes every training text once, and heads train on cached vectors. With `--cache-prefix`, the frozen
    blocks at the bottom run once. Otherwise, the whole backbone runs in every step. Caches that exceed `--cache-memory` are in
    `folder`. With `--micro-batch-tokens`, what runs in every step does so in micro-batches, whose dropout draws from `random`.
    """
    trained = {name: objective.train for name, objective in roles.mixed.items()}
    encoded = different_texts(trained)
    limit = int(plan.options.cache_memory * 2**30)
    device = plan.compute.device
    if plan.fixed_vectors:
        cache = cache_vectors(model, encoded, plan.compute, folder, limit, ranks=plan.ranks)
        validated = different_texts({name: objective.validation for name, objective in roles.all.items()})
        total = cache.texts + sum(map(len, validated.values()))
        return FeatureSetup(CachedVectors(stores_of_tasks(trained, cache.stores), roles.mixed), cache.event(texts=total))
    depth = prefix_depth(plan.freezing.weights, frozen_params) if plan.options.cache_prefix else 0
    if depth:
        cache = cache_hidden_states(model, encoded, plan.compute, folder, limit, depth, ranks=plan.ranks)
        source = UpperBackbone(model, roles.mixed, device, stores_of_tasks(trained, cache.stores), depth)
        return FeatureSetup(
            _in_micro_batches(source, plan, random), cache.event(texts=cache.texts, depth=sum(model.architecture.repeats[:depth]))
        )
    return FeatureSetup(_in_micro_batches(WholeBackbone(model, roles.mixed, device), plan, random))


def _in_micro_batches(backbone: WholeBackbone, plan: TrainPlan, random: RandomState | None) -> FeatureSource:
    """The backbone, with `--micro-batch-tokens` in micro-batches."""
    tokens = plan.options.micro_batch_tokens
    return backbone if tokens is None or random is None else GradientCache(backbone, random, tokens)
