"""The first table of a page: what the run is, what it was made from, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mtlkit.errors import counted
from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.facts import TITLES, kind_title
from mtlkit.report.info import run_pairs
from mtlkit.report.run_facts import RunFacts
from mtlkit.report.run_rows import Unfinished
from mtlkit.report.text import printable

STAGES = {"pretrain": "base", "train-sentence": "sentence", "train-mtl": "mtl"}  # by the command that makes them
LABELS = 8  # label names of a task


def summary_of(facts: RunFacts, last: Mapping[str, Any], unfinished: Unfinished | None = None) -> dict[str, str]:
    """Names and values. `last` is the last step in the log, `unfinished` the state of a training without a record."""
    record, rows = facts.record, {}
    if record is None:
        rows = dict(_of_unfinished(facts, last, unfinished))
        return {name: printable(" ".join(str(value).split())) for name, value in rows.items()}
    title = TITLES.get(record.stage, record.stage)
    rows["what"] = title if facts.kind == "run" else f"{title} ({facts.kind})"
    if facts.checkpoint:
        rows["model"] = _model(facts, facts.checkpoint)
    rows["started from"] = _start(facts)
    for spec in facts.checkpoint.tasks if facts.checkpoint else ():
        names = ", ".join(spec.labels[:LABELS]) + (", ..." if len(spec.labels) > LABELS else "")
        labels = f", {counted(len(spec.labels), 'class', 'classes')}: {names}" if spec.labels else ""
        rows[f"task {spec.name}"] = f"{kind_title(spec)}{labels}{_rows(record.data.get(spec.name))}"
    epoch, step = record.metrics.get("best_epoch"), record.metrics.get("best_step")
    if isinstance(epoch, int) and isinstance(step, int):
        epochs = record.options.get("epochs")
        of = f" of {epochs:,}" if isinstance(epochs, int) and epochs >= epoch else ""
        rows["best epoch"] = f"{epoch:,}{of} (step {step:,})"
    if "step" in last:
        rows["trained"] = trained(last)
    pairs = run_pairs(facts)
    rows |= {name: pairs[name] for name in ("finished", "seed", "folder", "checkpoints", "resume with") if name in pairs}
    return {name: printable(" ".join(str(value).split())) for name, value in rows.items()}


def about_unfinished(facts: RunFacts) -> Mapping[str, Any]:
    """What the newest checkpoint of an unfinished training says: its command, options, data and start; nothing without one."""
    about = facts.state["about"] if facts.state and facts.record is None else None
    return about if isinstance(about, dict) else {}


def _of_unfinished(facts: RunFacts, last: Mapping[str, Any], unfinished: Unfinished | None) -> Iterator[tuple[str, str]]:
    """The rows of an unfinished training, named like those of a finished one."""
    about, pairs = about_unfinished(facts), run_pairs(facts)
    command = str(about.get("command") or (unfinished.command if unfinished else ""))
    yield "what", f"{TITLES[STAGES[command]]}: {facts.kind}" if command in STAGES else facts.kind
    options = about.get("options")
    options = options if isinstance(options, dict) else {}
    if unfinished:
        yield "state", f"{unfinished.state} {_moment(last, options.get('epochs'))}"
    if about:
        init = about.get("init")
        yield "started from", "fresh weights" if init in (None, "", "scratch") else str(init)
    data = about.get("data")
    for name, own in data.items() if isinstance(data, dict) else ():
        if isinstance(own, dict) and "source" in own:
            yield f"task {name}", f"{own['source']}{_rows(own)}"
    if "step" in last:
        yield "trained", trained(last)
    if "seed" in options:
        yield "seed", str(options["seed"])
    names = ["folder", "checkpoints"] + (["resume with"] if unfinished is None or unfinished.state != "running" else [])
    yield from ((name, pairs[name]) for name in names if name in pairs)


def _moment(last: Mapping[str, Any], epochs: Any) -> str:
    """How far an unfinished training got, by the last step in its log."""
    step, epoch = last.get("step"), last.get("epoch")
    if not isinstance(step, int):
        return "before the first step"
    of = f" of {epochs:,}" if isinstance(epochs, int) else ""
    return f"at step {step:,}" + (f" (epoch {epoch:,}{of})" if isinstance(epoch, int) else "")


def _model(facts: RunFacts, checkpoint: ModelDescription) -> str:
    shape = checkpoint.architecture
    return f"{counted(shape.layers, 'layer')} of width {shape.dim:,}, {facts.parameters:,} parameters"


def _start(facts: RunFacts) -> str:
    parents = [one for one in facts.lineage if one.depth == 1 and one.role == "parent"]
    if not parents:
        return "fresh weights"
    return f"{parents[0].path}" + ("" if parents[0].condition == "same" else f" ({parents[0].condition} since)")


def _rows(data: Any) -> str:
    """The numbers of rows of a task's splits, as text."""
    if not isinstance(data, dict):
        return ""
    splits = [
        f"{split['rows']:,} {name}"
        for name, split in data.items()
        if isinstance(split, dict) and isinstance(split.get("rows"), int)
    ]
    return f"; rows: {', '.join(splits)}" if splits else ""


def trained(last: Mapping[str, Any]) -> str:
    """The length of a training, as text."""
    step, tokens, seconds = last.get("step"), last.get("tokens"), last.get("seconds")
    parts = [counted(step, "step")] if isinstance(step, int) else []
    if isinstance(tokens, int):
        parts.append(counted(tokens, "token"))
    if isinstance(seconds, (int, float)):
        minutes, rest = divmod(round(seconds), 60)
        parts.append(f"{minutes:,} min {rest} s" if minutes else f"{seconds:.0f} s")
    return ", ".join(parts)
