"""The first table of a page: what the run is, what it was made from, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.errors import counted
from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.facts import TITLES, kind_title
from mtlkit.report.info import run_pairs
from mtlkit.report.run_facts import RunFacts
from mtlkit.report.text import printable

LABELS = 8  # label names of a task


def summary_of(facts: RunFacts, last: Mapping[str, Any]) -> dict[str, str]:
    """Names and values. `last` is the last step in the log."""
    record, rows = facts.record, {}
    if record is None:
        rows = run_pairs(facts)
        if "step" in last:
            rows["trained so far"] = trained(last)
        return {name: printable(value) for name, value in rows.items()}
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
