"""The tables of `mtlkit info` about a model: architecture, parts, tasks and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.pooling import DenseShape
from mtlkit.errors import shorten
from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.facts import adapter_title, kind_title
from mtlkit.report.columns import narrow
from mtlkit.report.run_facts import PartSize, RunFacts
from mtlkit.report.tables import metric_title, new_table, titled
from mtlkit.report.text import literal, one_line
from mtlkit.runs.record import BEFORE_REFIT, CROSS_VALIDATED, NOT_MEASURED, TRAINED_ON, marked_tasks

LABELS, LONGEST = 5, 40  # labels shown per task, and characters of each
VALIDATION, WORDS = "validation", "words"


def pairs(rows: Mapping[str, str]) -> Table:
    """A table of names and values without a header."""
    table = new_table()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(literal(name, "dim"), one_line(value))
    return table


def architecture_pairs(checkpoint: ModelDescription) -> dict[str, str]:
    shape, encoding = checkpoint.architecture, checkpoint.encoding
    gated = "gated " if shape.blocks.gated else ""
    inside = f", MLP {shape.mlp_dim} ({gated}{shape.activation}), {shape.norm}-norm" if shape.transformers is None else ""
    mixture = [f"{100 * shape.embedding_share:.3g} % token embeddings"] if shape.embedding_share else []
    normalized = ["normalized"] if shape.normalize else []
    rows = {
        "layers": f"{shape.layers}, width {shape.dim}{inside}",
        "attention": f"{shape.attention}, {shape.heads} heads{', rotary positions' if shape.blocks.rotary else ''}",
        "pooling": ", ".join([shape.pooling, *mixture, *map(dense_title, shape.dense), *normalized]),
        "vocabulary": f"{shown(shape.vocab_size)} tokens"
        + (f", embedding width {shape.token_dim}" if shape.embedding_dim else ""),
        "context": f"{shown(shape.max_length)} tokens; texts are truncated to {shown(encoding.max_length)} ({encoding.truncate})",
    }
    vectors = checkpoint.vectors
    if vectors.prompts:
        default = f"; default: {vectors.default_prompt}" if vectors.default_prompt is not None else ""
        excluded = "" if vectors.include_prompt else "; excluded from pooling"
        rows["prompts"] = ", ".join(f"{name} {text!r}" for name, text in vectors.prompts.items()) + default + excluded
    if shape.vector_dim != shape.dim:
        rows["vectors"] = f"{shown(shape.vector_dim)} dimensions"
    if vectors.truncate_dim is not None:
        whole = f"{rows['vectors']}, " if "vectors" in rows else ""
        rows["vectors"] = f"{whole}truncated to {shown(vectors.truncate_dim)} dimensions"
    if vectors.similarity != "cosine":
        rows["similarity"] = vectors.similarity
    if shape.family:
        rows["family"] = shape.family
    if checkpoint.adapters:
        rows["adapters"] = ", ".join(f"{adapter_title(task)} {spec}" for task, spec in checkpoint.adapters.items())
    if checkpoint.router:
        rows["router"] = f"between {', '.join(checkpoint.router)}"
    return rows


def dense_title(shape: DenseShape) -> str:
    """A layer on vectors in a few words, such as "dense layer of 512 (tanh)"."""
    if shape.norm:
        return "layer norm"
    return f"dense layer of {shown(shape.width)}{'' if shape.activation == 'none' else f' ({shape.activation})'}"


def parts_table(facts: RunFacts) -> Table:
    """One row per part, with the name that --freeze takes, and a total."""
    table = new_table()
    table.add_column("part", overflow="fold", min_width=10)
    for title in ("parameters", "share", "tensors"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("stored as", no_wrap=True)
    stored = tuple(sorted({kind for part in facts.parts for kind in part.stored}))
    whole = PartSize("all", facts.parameters, sum(part.tensors for part in facts.parts), stored)
    for part in (*facts.parts, whole):
        share = f"{part.parameters / max(1, facts.parameters):.1%}".replace("%", " %")
        style = "bold" if part is whole else ""
        cells = [f"{part.parameters:,}", share, str(part.tensors), ", ".join(part.stored)]
        table.add_row(literal(part.name), *map(literal, cells), style=style)
    return table


def tasks_table(checkpoint: ModelDescription) -> Table:
    table = new_table()
    table.add_column("task", overflow="fold", min_width=8)
    table.add_column("kind", no_wrap=True)
    table.add_column("head", overflow="fold", min_width=6)
    table.add_column("labels", overflow="fold", min_width=12)
    calibrated = any(task.calibration for task in checkpoint.tasks)
    if calibrated:
        table.add_column("calibration", overflow="fold", min_width=12)
    for task in checkpoint.tasks:
        cells = (task.name, kind_title(task), task.head, labels(task), *([calibration(task)] if calibrated else []))
        table.add_row(*map(one_line, cells))
    return table


def calibration(task: TaskSpec) -> str:
    """The temperature or the range of thresholds, and the number of rows that they were fitted on."""
    fitted = task.calibration
    if fitted is None:
        return "-"
    thresholds = f"thresholds {min(fitted.thresholds):.2f} to {max(fitted.thresholds):.2f}" if fitted.thresholds else ""
    return f"{thresholds or f'temperature {fitted.temperature:.3g}'} ({fitted.rows:,} rows)"


def labels(task: TaskSpec) -> str:
    """The number of labels and the first few; for a task without labels the mean and the spread of its numbers."""
    if not task.labels:
        return f"mean {shown(task.center)}, standard deviation {shown(task.spread)}"
    first = ", ".join(shorten(label, LONGEST) for label in task.labels[:LABELS])
    return f"{len(task.labels):,}: {first}{', ...' if len(task.labels) > LABELS else ''}"


MEANINGS = {
    CROSS_VALIDATED: "cross-validated, as the heads were fitted to all rows, validation included",
    BEFORE_REFIT: "measured before the model was trained again on all rows, validation included",
    TRAINED_ON: "of rows that were trained on, so probably too good",
    NOT_MEASURED: "not measured, as no rows were held out",
}


def metric_tables(metrics: Mapping[str, Any], width: int) -> Iterator[RenderableType]:
    """One row of validation scores per task, one line of single figures, and the sentences of each stored report."""
    scores = metrics.get(VALIDATION)
    tasks = {name: row for name, row in scores.items() if isinstance(row, dict)} if isinstance(scores, dict) else {}
    single = {name: value for name, value in metrics.items() if plain(value)}
    line = ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in single.items())
    if tasks:
        yield titled("Validation", narrow({"task": list(tasks)}, score_columns(list(tasks.values())), width))
    for mark, meaning in MEANINGS.items():
        if marked := marked_tasks(metrics, mark):
            yield literal(f"{meaning}: {', '.join(marked)}")
    if line:
        yield literal(f"{line if tasks else f'Metrics: {line}'}\n")
    for title, sentences in stored_reports(metrics):
        yield Group(literal(title, "bold"), *(literal(f"  {sentence}") for sentence in sentences), literal(""))


def stored_reports(metrics: Mapping[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """The title and the sentences of each report in the metrics of a run, such as what was forgotten."""
    for name, report in metrics.items():
        words = report.get(WORDS) if isinstance(report, dict) else None
        if isinstance(words, list) and words:
            yield name.replace("_", " ").capitalize(), words


def score_columns(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """One column per metric that any task has: its title, then a value per task."""
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if plain(value)))
    return [[metric_title(name), *(shown(row[name]) if name in row else "-" for row in rows)] for name in names]


def plain(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def shown(value: Any) -> str:
    """A number formatted for a table; other values as text."""
    if not plain(value):
        return "-" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"
