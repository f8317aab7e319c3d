"""Trains a model towards its objectives, epoch by epoch, and keeps the best weights. Shared by every command but `pretrain`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from mtlkit.config.task_training import TaskTrainingOptions
from mtlkit.data.encoded import Encoded
from mtlkit.inference.compute import Compute
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.balancing.make_balance import make_balance
from mtlkit.training.checkpointing import Saver
from mtlkit.training.continual.forgetting_limit import ForgettingLimit
from mtlkit.training.continual.guards import Guard, GuardContext
from mtlkit.training.continual.start_model import StartModel
from mtlkit.training.evaluator import Evaluator, trained_weights
from mtlkit.training.events import BestOfTask, Chosen, Event, Forgetting, Note, Parts
from mtlkit.training.freezing.apply import FreezeProof, apply_freeze, lr_scales_of, prefix_depth
from mtlkit.training.freezing.cache import cache_hidden_states, cache_vectors
from mtlkit.training.freezing.features import CachedVectors, FeatureSource, UpperBackbone, WholeBackbone
from mtlkit.training.freezing.rules import prefix_of
from mtlkit.training.freezing.schedule import FreezeSchedule
from mtlkit.training.metrics_log import Books, MetricsLog
from mtlkit.training.objectives.base import HeadObjective, Objective
from mtlkit.training.objectives.contrastive import PairsObjective
from mtlkit.training.objectives.router import take_router, teach_router
from mtlkit.training.plan import TrainPlan
from mtlkit.training.rng import RandomState
from mtlkit.training.sampling.mixture import TaskMixture, make_plans
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.state_dict import StateDict, copy_into
from mtlkit.training.task_losses import TaskLosses
from mtlkit.training.trainer import Trainer


@dataclass(frozen=True)
class RuntimeContext:
    """Where a training computes and writes: its log; where what is worked out once may be kept on disk (None: nowhere); the
    tokens of some fixed texts, by which it tells what became of what the start knew (None: it does not); what saves its states
    (None: nothing), and `keeps`: the last one is saved, too. Where it has `begun` before, it goes on from there; `extended`: past
    what had been its end."""

    compute: Compute
    log: TextIO
    cache: Path | None = None
    probe: Encoded | None = None
    saver: Saver | None = None
    keeps: bool = False
    begun: StateDict | None = None
    extended: bool = False


class Fit:
    """One training. A watched task is evaluated, not trained; where it is rehearsed, its batches train all but its head."""

    def __init__(
        self,
        model: MultiTaskModel,
        objectives: Mapping[str, Objective],
        plan: TrainPlan,
        options: TaskTrainingOptions,
        context: RuntimeContext,
    ) -> None:
        self.compute, self.context = context.compute, context
        model.to(self.compute.device)
        self.random = RandomState(model, self.compute.device, options.seed)
        self.model, self.objectives, self.plan, self.options = model, objectives, plan, options
        self.labelled = {name: one for name, one in objectives.items() if isinstance(one, HeadObjective)}
        self.routes, self.said = take_router(model, list(self.labelled), plan.router)
        self.known = {name: one for name, one in self.labelled.items() if name in plan.known}
        self.trained = plan.trained(objectives)
        self.watched = {name: one for name, one in objectives.items() if name not in self.trained}
        self.mixed = {name: one for name, one in objectives.items() if name in self.trained or name in plan.rehearsed}
        self.idle = idle_heads(model, self.trained)
        self.frozen_params = plan.freezing.always | self.idle
        self.lengths = {name: objective.train.lengths for name, objective in self.mixed.items()}
        mixing = plan.mixing
        texts = {name: objective.train.pairs for name, objective in self.mixed.items() if isinstance(objective, PairsObjective)}
        plans = make_plans(self.lengths, options.batch_tokens, options.seed, plan.classes, texts)
        mix = TaskMixture(plans, mixing.schedule, plan.rehearsed, mixing.epoch_by)
        self.step_schedule = StepSchedule(mix, options.epochs, options.accumulate)
        self.balance = make_balance(mixing.balance, model, list(self.mixed), mixing.balance_on, self.random.cpu)
        self.guards = self._make_guards()
        self.frozen = FreezeSchedule(plan.freezing, self.idle)
        self.frozen.go_to(model, 0, 0)
        self.lr_scales = lr_scales_of(model, options.head_rate, options.layer_lr_decay)
        self.table = FreezeProof(model, plan.freezing, self.frozen_params, options.learning_rate, self.lr_scales)

    def _make_guards(self) -> dict[str, Guard]:
        apply_freeze(self.model, self.frozen_params)  # what is thawed later on is guarded, too
        trainable = frozenset(name for name, _ in self.model.named_parameters()) - self.frozen_params
        old = {name: one for name, one in self.known.items() if name in self.watched}
        common = (self.plan.known, self.compute, self.options.seed)
        beginning = GuardContext(self.model, trainable, self.trained, old, *common)
        return {choice.name: choice.make(beginning) for choice in self.plan.guards}

    def events(self) -> Iterator[Event]:
        """Trains in place, leaves the best weights in the model and yields what happens."""
        yield Parts(self.table.parts(self.frozen.weights))
        if self.said:
            yield Note(self.said, warning=True)
        probe = self.context.probe
        whole = self.plan.freezing.keeps("backbone")
        vectors_of = yield from self._vectors_of(whole)
        self.evaluator = Evaluator(self.model, self.objectives, self.compute, whole)
        memory = StartModel(self.model, self.known, probe, self.evaluator) if probe is not None else None
        books = Books(self.trained, self.step_schedule, self.balance, self.plan.mixing)
        metrics_log = MetricsLog(self.model, self.evaluator, books, self.frozen_params, self.context.log, memory)
        course = self._course(metrics_log, vectors_of)
        if begun := self.context.begun:
            course.load(begun, extended=self.context.extended)
        else:
            yield from self._plan()
            if self.watched or self.known:
                yield metrics_log.epoch(0, 0)
        yield from course.events()
        if saver := self.context.saver:
            self._end(course, saver)
        best_weights = metrics_log.best_weights
        assert best_weights.best is not None
        assert best_weights.chosen is not None
        self.model.load_state_dict(best_weights.best.weights, strict=False)
        self.model.eval()
        yield Parts(self.table.parts(self.frozen.weights, final=True))
        if self.routes:
            yield Note(teach_router(self.model, self.labelled, self.compute, self.options.seed))
        if memory:
            yield Forgetting(memory.report(self.model, best_weights.best.scores))
        yield Chosen(best_weights.chosen)
        if len(best_weights.tasks) > 1:
            each = (f"{name} {one.rank} in epoch {one.epoch}" for name, one in best_weights.tasks.items())
            yield Note(
                f"each task at its best: {', '.join(each)}; the weights kept are those of epoch {best_weights.chosen.epoch}"
            )
        for name, one in best_weights.tasks.items():
            yield BestOfTask(name, one.rank.score, one.epoch, one.step, one.weights)
        yield Note(metrics_log.seen(), detail=not metrics_log.coverage.left_out())
        yield from (Note(text, warning=True) for text in metrics_log.taught_nothing())

    def _end(self, course: Trainer, saver: Saver) -> None:
        """The training is over; its last weights are put back should it have to be saved once more."""
        last = trained_weights(self.model, self.frozen_params)

        def snapshot() -> StateDict:
            copy_into(dict(self.model.named_parameters()), last)
            return course.snapshot()

        saver.ended(course.stand.step, snapshot)
        if self.context.keeps:
            saver.save(course.stand.step, course.snapshot(complete=True))

    def _plan(self) -> Iterator[Note]:
        """What an epoch holds of each task."""
        step_schedule = self.step_schedule
        if len(self.mixed) < 2:
            return
        planned, plans = step_schedule.planned(0), step_schedule.mix.plans
        passes = {name: planned[name] / len(plan.epoch(0)) for name, plan in plans.items()}
        words = (f"{name} {planned[name]:,} batches ({times:.2g} passes)" for name, times in passes.items())
        yield Note(f"{step_schedule.full:,} steps per epoch: {', '.join(words)}", detail=True)

    def _course(self, metrics_log: MetricsLog, vectors_of: FeatureSource) -> Trainer:
        losses = TaskLosses(self.mixed, vectors_of, self.guards)
        return Trainer(
            self.model,
            self.step_schedule,
            losses,
            self.balance,
            metrics_log,
            self.frozen,
            self.options,
            self.compute,
            lr_scales=self.lr_scales,
            bound=self._bound(),
            random=self.random,
            saver=self.context.saver,
        )

    def _bound(self) -> ForgettingLimit | None:
        points = self.plan.max_forgetting
        if points is None:
            return None
        return ForgettingLimit(self.model, self.watched, points, self.step_schedule.full, self.frozen_params, self.evaluator)

    def _vectors_of(self, whole: bool) -> Generator[Event, None, FeatureSource]:
        """How steps come by vectors. Backbone `whole` frozen: every training text is encoded once, and the heads train on the
        vectors. With `--cache-prefix`, what lies below the first block that trains is run once."""
        encoded = {name: objective.train.encoded for name, objective in self.mixed.items()}
        limit = int(self.options.cache_memory * 2**30)
        place = self.context.cache
        if whole:
            kept = cache_vectors(self.model, encoded, self.compute, place, limit)
            judged = sum(len(one.validation.encoded) for one in self.objectives.values())
            yield Note(
                f"the backbone is frozen: {kept.texts + judged:,} texts were encoded once, the heads train on their vectors"
                f"{f', kept as {kept.said}' if kept.files else ''}"
            )
            return CachedVectors(kept.stores)
        depth = prefix_depth(self.plan.freezing.weights, self.frozen_params) if self.options.cache_prefix else 0
        if depth:
            kept = cache_hidden_states(self.model, encoded, self.compute, place, limit, depth)
            yield Note(f"what is frozen up to layers:{depth - 1} was run once on {kept.texts:,} texts: {kept.said}")
            return UpperBackbone(self.model, self.mixed, self.compute.device, kept.stores, depth)
        return WholeBackbone(self.model, self.mixed, self.compute.device)


def idle_heads(model: MultiTaskModel, trained: Mapping[str, Objective]) -> frozenset[str]:
    """The weights of heads that nothing trains: they stay as they are."""
    used = {objective.head for objective in trained.values()}
    idle = tuple(prefix_of(f"head:{task}") for task in model.tasks if f"head:{task}" not in used)
    return frozenset(name for name, _ in model.named_parameters() if name.startswith(idle))


def fit(
    model: MultiTaskModel,
    objectives: Mapping[str, Objective],
    plan: TrainPlan,
    options: TaskTrainingOptions,
    context: RuntimeContext,
) -> Iterator[Event]:
    """Trains `model` in place and yields what happens; the last Epoch with `best` is the one whose weights stay."""
    return Fit(model, objectives, plan, options, context).events()
