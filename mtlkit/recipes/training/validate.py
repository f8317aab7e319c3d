"""What a training on tasks is settled to be before any data is read."""

from __future__ import annotations

from dataclasses import dataclass

from mtlkit.config.architecture import Stage, parse_head
from mtlkit.config.training import TrainMtlOptions, TrainSentenceOptions
from mtlkit.data.sources.spec import named_sources
from mtlkit.errors import UsageError
from mtlkit.inference.load_weights import describe
from mtlkit.model.weight_names import weight_names
from mtlkit.recipes.training.baselines import check_baselines
from mtlkit.recipes.training.initial_model import choose_start
from mtlkit.recipes.training.model_size import check_size
from mtlkit.recipes.training.objectives import check_objective
from mtlkit.recipes.training.prepare import Checked, Options, Prepared
from mtlkit.recipes.training.validate_continual import ContinualPlan, check_keeping
from mtlkit.recipes.training.validate_mixture import check_mixing
from mtlkit.training.freezing.apply import prefix_depth
from mtlkit.training.freezing.rules import check_freeze, parse_freeze
from mtlkit.training.objectives.router import check_router
from mtlkit.training.plan import TrainPlan


@dataclass(frozen=True)
class CommandSpec:
    """What tells one command from another: its name, what it makes and where, what it starts from, what comes next."""

    command: str
    stage: Stage
    folder: str
    starts: tuple[Stage, ...]
    following: str


def check(options: Options, stages: CommandSpec) -> Checked:
    """Everything that can be said without reading data. Raises UsageError, IntegrityError."""
    options.cap_rows()
    parse_head(options.head)
    sources = named_sources(options.tasks)
    found = choose_start(options, stages.starts)
    described = describe(found.path) if found else None
    known = {task.name: task.head for task in described.tasks} if described else {}
    architecture = described.architecture if described else options.architecture()
    check_size(architecture, [options.head for name in sources if name not in known], fresh=found is None)
    heads = known | {name: options.head for name in sources if name not in known}
    weights = weight_names(architecture, heads)
    freezing = parse_freeze(options.freeze, options.unfreeze, weights, list(heads), architecture.layers)
    keeping = ContinualPlan()
    if isinstance(options, TrainMtlOptions):
        keeping = check_keeping(options, found, list(known), sources, freezing)
    if options.keep_state and found and found.path.resolve() == (options.out or options.runs / stages.folder).resolve():
        raise UsageError(f"--keep-state is of no use where the run replaces {found}, from which it starts; name another --out")
    if options.cache_prefix and not prefix_depth(weights, freezing.always):
        raise UsageError(
            "--cache-prefix keeps what frozen lower blocks give, and none are frozen all along together with the embeddings; "
            f"say --freeze embeddings,layers:0-{max(0, architecture.layers // 2 - 1)}, or leave it out"
        )
    if isinstance(options, TrainSentenceOptions):
        check_objective(options, found, freezing, architecture.dim)
    if options.objective == "classify":
        check_freeze(freezing, list(sources), {"backbone", *(f"head:{name}" for name in known)}, fresh=found is None)
    trained = [name for name in sources if not freezing.keeps(f"head:{name}")]
    mixing = check_mixing(options, trained, [*trained, *keeping.rehearsed], freezing)
    if options.router:
        check_router([*sources, *keeping.watched])
    if isinstance(options, TrainMtlOptions):
        check_baselines(options, found, options.out or options.runs / stages.folder, trained, freezing)
    return Checked(found, sources, freezing, keeping, mixing)


def regime_of(options: Options, checked: Checked, prepared: Prepared) -> TrainPlan:
    """The terms of the training."""
    kept = checked.keeping
    watched = frozenset(kept.watched)
    more = (kept.rehearsed, kept.guards, kept.max_forgetting, prepared.classes, options.router)
    return TrainPlan(checked.freezing, checked.mixing, prepared.known, watched, *more)
