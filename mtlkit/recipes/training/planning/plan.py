"""Validates the options of a training on tasks and makes its plan, before any data is read."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from mtlkit.config.architecture import Stage, parse_head
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.registries.balancing import parse_balance
from mtlkit.config.registries.guards import GuardChoice, parse_guards
from mtlkit.config.registries.schedules import check_epoch_length, parse_epoch_length, parse_schedule
from mtlkit.data.datasets.labelled import labels_words
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import named_sources, table_of
from mtlkit.data.sources.pair_columns import pair_head_of
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.inference.compute import choose_compute
from mtlkit.inference.load_weights import read_description
from mtlkit.model.interop.auto.models import check_supported
from mtlkit.model.weight_names import weight_names
from mtlkit.recipes.training.baselines.validate import check_baselines
from mtlkit.recipes.training.initial_model import choose_start
from mtlkit.recipes.training.model_size import check_size
from mtlkit.recipes.training.objectives import check_objective
from mtlkit.recipes.training.planning.adapters import adapters_of, check_frozen, frozen_items, plan_adapter
from mtlkit.recipes.training.planning.continual import check_continual, parse_rehearsed, parse_watched
from mtlkit.recipes.training.planning.few_shot import check_few_shot
from mtlkit.recipes.training.planning.held_out import check_refit
from mtlkit.recipes.training.planning.test_rows import parse_tests
from mtlkit.training.balancing.registry import check_balance
from mtlkit.training.distributed.ranks import ALONE, Ranks
from mtlkit.training.freezing.apply import prefix_depth
from mtlkit.training.freezing.check import check_freeze
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.objectives.router import check_router
from mtlkit.training.plan import Options, TrainPlan
from mtlkit.training.solver.choice import check_solver

# methods whose weights for a batch depend on those for the batch before: by random numbers, or by the last solution
SERIAL = {"torchjd:pcgrad", "torchjd:nashmtl"}


@dataclass(frozen=True)
class CommandSpec:
    """What differs between training commands: the name, the stage of the run, its default folder, the stages to start from,
    and the command that follows.
    """

    command: str
    stage: Stage
    folder: str
    starts: tuple[Stage, ...]
    following: str


def make_plan(options: Options, spec: CommandSpec, init: str | None, ranks: Ranks = ALONE) -> TrainPlan:
    """Validates all options and parses those with a grammar. `init` is the name of the starting model, from `--init` or a
    checkpoint (None: the default), and `ranks` are the processes that train. Raises UsageError, IntegrityError.
    """
    options.cap_rows()
    parse_head(options.head)
    sources = named_sources(options.tasks)
    start = choose_start(init, options.runs, spec.starts)
    described = read_description(start.path, classifier=isinstance(options, TrainMtlOptions)) if start else None
    known = {task.name: task.head for task in described.tasks} if described else {}
    architecture = described.architecture if described else options.architecture()
    fresh = {name: options.head for name in sources if name not in known}
    check_size(architecture, list(fresh.values()), fresh=start is None)
    joint = any(pair_head_of(parse_source(source)[1]) == "joint" for source in sources.values())
    joint = joint or any(task.joint for task in (described.tasks if described else ()))
    adapter = plan_adapter(options, architecture.repeats)
    heads, frozen = list(known | fresh), frozen_items(options)
    weights = weight_names(architecture, known | fresh, joint=joint)
    freezing = parse_freeze(frozen, options.unfreeze, weights, heads, architecture.repeats)
    trained = [name for name in sources if not freezing.keeps(f"head:{name}")]
    if adapters := adapters_of(options, adapter, start, described, trained):
        weights = weight_names(architecture, known | fresh, joint=joint, adapters=adapters)
        freezing = parse_freeze(frozen, options.unfreeze, weights, heads, architecture.repeats)
    check_frozen(options, freezing)
    watched: dict[str, str] = {}
    rehearsed: dict[str, Fraction] = {}
    guards: tuple[GuardChoice, ...] = ()
    if isinstance(options, TrainMtlOptions):
        watched = parse_watched(options.watch, start, known, sources)
        kept = [name for name in sources if name not in trained]
        rehearsed, guards = parse_rehearsed(options.rehearse, [*watched, *kept], sources), parse_guards(options.guard)
    plan = TrainPlan(
        options=options,
        compute=choose_compute(options.device, options.precision),
        freezing=freezing,
        start=start,
        schedule=parse_schedule(options.schedule),
        epoch_by=replace(parse_epoch_length(options.epoch_by), accumulate=options.batches_per_step),
        balance=parse_balance(options.balance, [*trained, *rehearsed]),
        watched=watched,
        rehearsed=rehearsed,
        guards=guards,
        adapter=adapter,
        ranks=ranks,
        usual_rate=options.usual_rate(architecture.dim if start else None),
        tests=parse_tests(options, start, known, sources | watched),
    )
    check_shared(plan)
    check_continual(plan, known)
    _check_output(plan, options.out or options.runs / spec.folder)
    if options.recompute:
        check_supported(architecture, "--recompute", "use --micro-batch-tokens, which computes a part of a batch at a time")
    if options.cache_prefix:
        check_supported(architecture, "--cache-prefix", "remove it: a backbone that is frozen as a whole is cached anyway")
    _check_freezing(plan, known, weights, architecture.repeats)
    if isinstance(options, TrainSentenceOptions):
        check_objective(options, start, freezing, architecture.vector_dim)
    check_mixture(plan, trained)
    check_refit(plan)
    if isinstance(options, TrainMtlOptions) and options.few_shot:
        check_few_shot(plan)
    else:
        check_solver(plan)
    if options.router:
        of_pairs = {name for name, source in sources.items() if pair_head_of(parse_source(source)[1])}
        of_pairs |= {task.name for task in described.tasks if task.pair and task.name in watched} if described else set()
        tables = {name: table_of(name, source) for name, source in (sources | watched).items()}
        check_router(tables, of_pairs, {name for name, source in (sources | watched).items() if labels_words(source)})
    if isinstance(options, TrainMtlOptions):
        check_baselines(plan, options.out or options.runs / spec.folder, trained)
    return plan


def check_shared(plan: TrainPlan) -> None:
    """Raises UsageError for options that several processes cannot share."""
    on_vectors = plan.options.balance_on == "vectors"
    if plan.ranks.size > 1 and on_vectors and plan.balance.name in SERIAL:
        raise UsageError(
            f"--balance {plan.balance.name} on vectors weighs batch after batch, and {plan.ranks.size} processes compute them at "
            "once; use --balance-on parameters, or another method"
        )


def check_mixture(plan: TrainPlan, trained: Sequence[str]) -> None:
    """Raises UsageError if schedule, balancing or `--select` do not fit the tasks; `trained` are the tasks that train."""
    sources = {**plan.sources, **plan.watched}
    tables: dict[str, list[str]] = {}
    for name in [*trained, *plan.rehearsed]:
        tables.setdefault(table_of(name, sources[name]), []).append(name)
    check_epoch_length(plan.schedule, plan.epoch_by, len(tables))
    frozen = plan.fixed_backbone
    together = len(tables) == 1 and not plan.rehearsed
    check_balance(plan.balance, plan.schedule, trained, frozen, plan.options.balance_on, together=together)
    if plan.options.sampling == "balanced" and (columns := next((names for names in tables.values() if len(names) > 1), None)):
        raise UsageError(
            f"--sampling balanced draws rows by their label, and those of {listed(columns)} have several; use --class-weights "
            "balanced, or name one column"
        )
    known, select = ["mean", "min", *trained], plan.options.select
    if select not in known:
        raise UsageError(f"--select {select}: not one of {listed(known)}{suggest(select, known)}")


def _check_output(plan: TrainPlan, out: Path) -> None:
    if plan.options.keep_state and plan.start and plan.start.path.resolve() == out.resolve():
        raise UsageError(f"--keep-state has no use where the run replaces {plan.start}, from which it starts; name another --out")


def _check_freezing(plan: TrainPlan, known: Collection[str], weights: Collection[str], repeats: Sequence[int]) -> None:
    options, freezing = plan.options, plan.freezing
    if options.cache_prefix and not prefix_depth(weights, freezing.always):
        raise UsageError(
            "--cache-prefix caches the outputs of frozen lower blocks, and none stay frozen together with the embeddings; "
            f"give --freeze embeddings,layers:0-{sum(repeats[: max(1, len(repeats) // 2)]) - 1}, or remove it"
        )
    if options.objective == "classify":
        learned = {"backbone", *(f"head:{name}" for name in known)}
        check_freeze(freezing, list(plan.sources), learned, fresh=plan.start is None)
