"""Model cards: README.md of a run or an export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.registries.adapters import SHARED, AdapterSpec
from mtlkit.report.text import printable

if TYPE_CHECKING:
    from mtlkit.runs.record import RunRecord

LOADING = """```python
import mtlkit

model = mtlkit.load("this/folder")
vectors = model.embed(["some sentence"])
```
"""
TITLES = {"base": "A base", "sentence": "A sentence encoder", "mtl": "A sentence encoder with task heads"}


def model_card(
    record: RunRecord,
    architecture: Architecture,
    tasks: Sequence[TaskSpec],
    use: str = LOADING,
    front: str = "",
    verb: str = "trained",
    adapters: Mapping[str, AdapterSpec] | None = None,
) -> str:
    """README.md of a run: architecture, command, tasks, adapters, metrics, data and how to load it. `front`: YAML front matter
    for hubs."""
    shape = f"{architecture.layers} layers of width {architecture.dim}, {architecture.heads} attention heads"
    lines = [
        f"{front}# {TITLES[record.stage]}, {verb} with mtlkit",
        "",
        f"{shape}, {architecture.attention} attention, vocabulary of {architecture.vocab_size:,} tokens, "
        f"at most {architecture.max_length} tokens per text.",
        "",
        "```",
        record.command,
        "```",
        "",
    ]
    if tasks:
        lines += ["| task | kind | labels |", "|---|---|---|"]
        lines += [f"| {task.name} | {kind_title(task)} | {', '.join(map(cell, task.labels)) or '-'} |" for task in tasks]
        lines.append("")
    if adapters:
        lines += [f"Adapters: {', '.join(f'{adapter_title(task)} {spec}' for task, spec in adapters.items())}.", ""]
    if record.parent:
        lines += [f"Initialized from `{record.parent['path']}` ({record.parent['digest'][:12]}).", ""]
    for title, values in (("Metrics", record.metrics), ("Data", record.data)):
        if values:
            lines += [f"## {title}", "", "```json", json.dumps(values, indent=2, ensure_ascii=False), "```", ""]
    lines += ["## Usage", "", use]
    return "\n".join(lines)


def adapter_title(task: str) -> str:
    """Whose adapter it is: that of a task, or of all under SHARED."""
    return "all tasks:" if task == SHARED else f"{task}:"


def kind_title(task: TaskSpec) -> str:
    """The kind of a task, and whether its head reads pairs of texts or, for words, the scheme of its tags."""
    if task.tags is not None:
        return f"{task.kind}, {task.tags} tags" if task.transitions is None else f"{task.kind}, {task.tags} tags, CRF"
    reads = {None: "", "vectors": ", pairs", "joint": ", pairs in one sequence", "either": ", single texts or pairs"}
    return f"{task.kind}{reads[task.pair]}"


def cell(label: str) -> str:
    """A label as a cell of a Markdown table."""
    return " ".join(printable(label).split()).replace("|", "\\|")
