"""Checks the options against forgetting: watched and rehearsed tasks, guards, `--max-forgetting`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fractions import Fraction

from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import parse_tasks
from mtlkit.errors import MtlkitError, UsageError, listed, suggest
from mtlkit.inference.find_model import ModelRef
from mtlkit.runs.record import RECORD, read_record
from mtlkit.training.plan import TrainPlan

SHARE = Fraction(1, 5)  # default share of a rehearsed task


def check_continual(plan: TrainPlan, known: Collection[str]) -> None:
    """Raises UsageError if guards, rehearsed tasks or the limit on forgetting do not fit the other options. `known` are the
    tasks for which the starting model has heads.
    """
    sources, freezing = plan.sources, plan.freezing
    frozen = [name for name in sources if freezing.keeps(f"head:{name}")]
    watched = [*plan.watched, *frozen]
    _check_guards(plan, [name for name in known if name in frozen or name not in sources], watched)
    if plan.options.max_forgetting is not None and not watched:
        raise UsageError("--max-forgetting needs a task to watch; give its data with --watch NAME=SOURCE, or freeze its head")
    options = [f"--rehearse {name}" for name in plan.rehearsed] + [f"--guard {guard.name}" for guard in plan.guards]
    if options and plan.fixed_backbone:
        keeps = "--adapter-per task" if plan.own_adapters else "--freeze"
        raise UsageError(f"{options[0]} protects the backbone, which {keeps} keeps unchanged already; remove one of them")


def parse_watched(texts: list[str], start: ModelRef | None, known: Collection[str], sources: Mapping[str, str]) -> dict[str, str]:
    """The sources of the tasks of `--watch`. `start` is the starting model, `known` are the tasks that it has heads for, and
    `sources` are those of `--task`. Raises UsageError.
    """
    watched: dict[str, str] = {}
    given = (task for text in texts for task in (parse_tasks(text, "--watch") if "=" in text else [(text, "")]))
    for name, source in given:
        if name not in known:
            heads = f"{start} has {listed(known) or 'no heads'}" if start else "fresh weights have no heads"
            raise UsageError(
                f"--watch {name}: no such head to watch; {heads}; name a run that has it with --init"
                f"{suggest(name, known, '--watch')}"
            )
        if name in sources:
            raise UsageError(
                f"--watch {name}: --task gives it, too; remove one of them, or keep its head with --freeze head:{name}"
            )
        if name in watched:
            raise UsageError(f"--watch {name} is given twice; remove one of them")
        source = source or recorded_sources(start).get(name, "")
        if not source:
            raise UsageError(f"--watch {name}: {start} does not say what it was trained on; give its data: --watch {name}=SOURCE")
        parse_source(source)
        watched[name] = source
    return watched


def recorded_sources(start: ModelRef | None) -> dict[str, str]:
    """The sources that the heads of a run were trained on, according to its record."""
    if start is None or not (start.path / RECORD).is_file():
        return {}
    try:
        return read_record(start.path).sources
    except MtlkitError:  # loading the model gives a better error
        return {}


def parse_rehearsed(texts: list[str], watched: Collection[str], sources: Mapping[str, str]) -> dict[str, Fraction]:
    """The shares of the tasks of `--rehearse`. Raises UsageError."""
    shares: dict[str, Fraction] = {}
    for text in texts:
        name, colon, number = text.partition(":")
        if name not in watched:
            near = suggest(name, watched, "--rehearse")
            reason = "it trains anyway" if name in sources else f"give its data with --watch {name}=SOURCE"
            raise UsageError(f"--rehearse {name}: {reason}; watched are {listed(watched) or 'none'}{near}")
        if name in shares:
            raise UsageError(f"--rehearse {name} is given twice; remove one of them")
        try:
            share = Fraction(number) if colon else SHARE
        except (ValueError, ZeroDivisionError):
            share = Fraction(0)
        if not 0 < share <= 1:
            raise UsageError(f"--rehearse {text}: write TASK:SHARE, with a share above 0 and at most 1, such as {name}:0.2")
        shares[name] = share
    return shares


def _check_guards(plan: TrainPlan, old: list[str], watched: list[str]) -> None:
    """Raises UsageError if a guard lacks what it needs. `old` are existing heads that do not train."""
    for guard in plan.guards:
        if plan.start is None:
            raise UsageError(
                f"--guard {guard.name} needs a starting model, not fresh weights; remove it, or name one with --init"
            )
        if guard.name == "lwf" and not old:
            raise UsageError(
                f"--guard lwf keeps the outputs of existing heads, and all heads of {plan.start} train; use --guard l2sp"
            )
        if guard.name == "ewc" and not watched:
            raise UsageError(
                "--guard ewc needs the data of an existing task; give it with --watch NAME=SOURCE, or use --guard lwf"
            )
