"""The model card that every run carries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtlkit.config.architecture import Architecture, TaskSpec
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
    made: str = "trained",
) -> str:
    """README.md of a run: what it is, from what data, how good, how to load it. `front` is what hubs read at its top."""
    shape = f"{architecture.layers} layers, {architecture.dim} wide, {architecture.heads} attention heads"
    lines = [
        f"{front}# {TITLES[record.stage]}, {made} with mtlkit",
        "",
        f"{shape}, {architecture.attention} attention, {architecture.vocab_size:,} tokens in the vocabulary, "
        f"at most {architecture.max_length} tokens a text.",
        "",
        "```",
        record.command,
        "```",
        "",
    ]
    if tasks:
        lines += ["| task | kind | labels |", "|---|---|---|"]
        lines += [f"| {task.name} | {task.kind} | {', '.join(map(cell, task.labels)) or '-'} |" for task in tasks]
        lines.append("")
    if record.parent:
        lines += [f"Started from `{record.parent['path']}` ({record.parent['digest'][:12]}).", ""]
    for title, values in (("Metrics on held-out data", record.metrics), ("Data", record.data)):
        if values:
            lines += [f"## {title}", "", "```json", json.dumps(values, indent=2, ensure_ascii=False), "```", ""]
    lines += ["## Use", "", use]
    return "\n".join(lines)


def cell(label: str) -> str:
    """A label as a cell of a Markdown table."""
    return " ".join(printable(label).split()).replace("|", "\\|")
