"""What `train-mtl` is asked to keep of the starting model: tasks to watch and to rehearse, guards, a bound on forgetting."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from mtlkit.config.training import TrainMtlOptions
from mtlkit.data.sources.spec import parse_source, parse_task
from mtlkit.errors import MtlkitError, UsageError, listed, suggest
from mtlkit.inference.find_model import ModelRef
from mtlkit.runs.record import RECORD, read_record
from mtlkit.training.continual.guards import GuardChoice, parse_guards
from mtlkit.training.freezing.rules import FreezeRules

SHARE = Fraction(1, 5)  # of a rehearsed task without one


@dataclass(frozen=True)
class ContinualPlan:
    """`watched` has the sources of tasks that are only evaluated, `rehearsed` the shares of those that stay in the mix."""

    watched: Mapping[str, str] = field(default_factory=dict)
    rehearsed: Mapping[str, Fraction] = field(default_factory=dict)
    guards: tuple[GuardChoice, ...] = ()
    max_forgetting: float | None = None


def check_keeping(
    options: TrainMtlOptions, found: ModelRef | None, known: Collection[str], sources: Mapping[str, str], freezing: FreezeRules
) -> ContinualPlan:
    """What is asked for, where it can be done. `known` are the tasks that the starting model has heads for, `sources` those of
    `--task`. Raises UsageError."""
    watched = _watched(options.watch, found, known, sources)
    frozen = [name for name in sources if freezing.keeps(f"head:{name}")]
    seen = [*watched, *frozen]
    kept = ContinualPlan(
        watched, _rehearsed(options.rehearse, seen, sources), parse_guards(options.guard), options.max_forgetting
    )
    _check_guards(kept, found, [name for name in known if name in frozen or name not in sources], seen)
    if kept.max_forgetting is not None and not seen:
        raise UsageError("--max-forgetting needs a task to watch; give its data with --watch NAME=SOURCE, or freeze its head")
    asked = [f"--rehearse {name}" for name in kept.rehearsed] + [f"--guard {guard.name}" for guard in kept.guards]
    if asked and freezing.keeps("backbone"):
        raise UsageError(f"{asked[0]} holds the backbone, and --freeze keeps it as it is already; leave one out")
    return kept


def _watched(texts: list[str], found: ModelRef | None, known: Collection[str], sources: Mapping[str, str]) -> dict[str, str]:
    watched: dict[str, str] = {}
    for text in texts:
        name, source = parse_task(text, "--watch") if "=" in text else (text, "")
        if name not in known:
            there = f"{found} has {listed(known) or 'no heads'}" if found else "fresh weights have no heads"
            raise UsageError(
                f"--watch {name}: no such head to watch; {there}; name a run that has it with --init{suggest(name, known)}"
            )
        if name in sources:
            raise UsageError(f"--watch {name}: --task gives it, too; leave one out, or keep its head with --freeze head:{name}")
        if name in watched:
            raise UsageError(f"--watch {name} is given twice; leave one out")
        source = source or recorded_sources(found).get(name, "")
        if not source:
            raise UsageError(f"--watch {name}: {found} does not say what it was trained on; give its data: --watch {name}=SOURCE")
        parse_source(source)
        watched[name] = source
    return watched


def recorded_sources(found: ModelRef | None) -> dict[str, str]:
    """What a run's record says its heads were trained on."""
    if found is None or not (found.path / RECORD).is_file():
        return {}
    try:
        return read_record(found.path).sources
    except MtlkitError:  # said better when the model is loaded
        return {}


def _rehearsed(texts: list[str], watched: Collection[str], sources: Mapping[str, str]) -> dict[str, Fraction]:
    shares: dict[str, Fraction] = {}
    for text in texts:
        name, colon, number = text.partition(":")
        if name not in watched:
            reason = "it trains anyway" if name in sources else f"give its data with --watch {name}=SOURCE"
            raise UsageError(f"--rehearse {name}: {reason}; watched are {listed(watched) or 'none'}{suggest(name, watched)}")
        if name in shares:
            raise UsageError(f"--rehearse {name} is given twice; leave one out")
        try:
            share = Fraction(number) if colon else SHARE
        except (ValueError, ZeroDivisionError):
            share = Fraction(0)
        if not 0 < share <= 1:
            raise UsageError(f"--rehearse {text}: write TASK:SHARE, with a share above 0 and at most 1, such as {name}:0.2")
        shares[name] = share
    return shares


def _check_guards(kept: ContinualPlan, found: ModelRef | None, old: list[str], watched: list[str]) -> None:
    for guard in kept.guards:
        if found is None:
            raise UsageError(f"--guard {guard.name} keeps what the start has learned, and fresh weights have not; leave it out")
        if guard.name == "lwf" and not old:
            raise UsageError(f"--guard lwf keeps what old heads say, and {found} has none besides those that train; take l2sp")
        if guard.name == "ewc" and not watched:
            raise UsageError("--guard ewc needs data of an old task; give it with --watch NAME=SOURCE, or take lwf without any")
