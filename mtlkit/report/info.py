"""What a run is, as tables. Nothing here prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mtlkit.config.architecture import TaskSpec
from mtlkit.errors import shorten
from mtlkit.model.description import ModelDescription
from mtlkit.report.card import TITLES
from mtlkit.report.info_metrics import metric_tables, shown
from mtlkit.report.run_facts import FileFacts, ParentFacts, PartSize, RunFacts
from mtlkit.report.tables import new_table, titled
from mtlkit.report.text import literal, one_line

DIGEST = 12  # letters of a digest in a table; --json has them all
LABELS, LONGEST = 5, 40  # labels of a task that are named, and letters of each
GOOD, BAD = "green", "bold red"


def info_tables(facts: RunFacts, width: int) -> Iterator[RenderableType]:
    """Everything, from what it is to whether it is whole; what is not known is left out."""
    yield titled("Run", pairs(run_pairs(facts)))
    if facts.checkpoint:
        yield titled("Architecture", pairs(architecture_pairs(facts.checkpoint)))
    if facts.parts:
        yield titled("Parts of the model", parts_table(facts))
    if facts.checkpoint and facts.checkpoint.tasks:
        yield titled("Tasks", tasks_table(facts.checkpoint))
    if facts.lineage:
        yield titled("Made from", lineage_table(facts.lineage))
    if facts.record:
        if facts.record.data:
            yield titled("Data", data_table(facts.record.data))
        yield from metric_tables(facts.record.metrics, width)
        yield titled("Versions", versions_table(facts.record.versions, facts.installed))
    if facts.files:
        yield titled("Files", files_table(facts.files))
    yield from (literal(text, style) for text, style in closing(facts))


def pairs(rows: Mapping[str, str]) -> Table:
    """A name and what it is a row."""
    table = new_table()
    table.show_header = False
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(literal(name, "dim"), one_line(value))
    return table


def run_pairs(facts: RunFacts) -> dict[str, str]:
    found = {"folder": facts.name}
    if facts.record:
        title = TITLES.get(facts.record.stage, facts.record.stage)
        found["what"] = title if facts.kind == "run" else f"{title} ({facts.kind})"
        found |= {"command": facts.record.command, "finished": facts.record.finished.replace("T", " ")[:19] + " UTC"}
        found["seed"] = str(facts.record.seed)
    else:
        found["what"] = facts.kind
    if facts.state:
        found["saved states"] = ", ".join(f"step {step:,}" for step in facts.state["steps"])
        if about := facts.state["about"]:
            data = (
                f"{name} ({one['source']})" for name, one in about["data"].items() if isinstance(one, dict) and "source" in one
            )
            found |= {"command": about["typed"], "starts from": about["init"], "data": ", ".join(data)}
            more = " --extend EPOCHS" if facts.record else ""
            found["go on with"] = f"mtlkit {about['command']} --resume {facts.path}{more}"
    return found


def architecture_pairs(checkpoint: ModelDescription) -> dict[str, str]:
    shape, encoding = checkpoint.architecture, checkpoint.encoding
    found = {
        "layers": f"{shape.layers} of width {shape.dim}, MLP of {shape.mlp_dim} ({shape.activation}), {shape.norm}-norm",
        "attention": f"{shape.attention}, {shape.heads} heads",
        "pooling": f"{shape.pooling}{', scaled to length 1' if shape.normalize else ''}",
        "vocabulary": f"{shown(shape.vocab_size)} tokens" + (f" of width {shape.token_dim}" if shape.embedding_dim else ""),
        "context": f"{shown(shape.max_length)} tokens; texts are cut to {shown(encoding.max_length)} ({encoding.truncate})",
    }
    vectors = checkpoint.vectors
    if vectors.prompts:
        default = f"; default: {vectors.default_prompt}" if vectors.default_prompt is not None else ""
        left_out = "" if vectors.include_prompt else "; left out of the pooling"
        found["prompts"] = ", ".join(f"{name} {text!r}" for name, text in vectors.prompts.items()) + default + left_out
    if vectors.truncate_dim is not None:
        found["vectors"] = f"the first {shown(vectors.truncate_dim)} numbers"
    if vectors.similarity != "cosine":
        found["similarity"] = vectors.similarity
    if shape.family:
        found["family"] = shape.family
    if checkpoint.router:
        found["router"] = f"tells apart {', '.join(checkpoint.router)}"
    return found


def parts_table(facts: RunFacts) -> Table:
    """A row a part, named as --freeze names it, and one for all."""
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
    for task in checkpoint.tasks:
        table.add_row(*(one_line(cell) for cell in (task.name, task.kind, task.head, labels(task))))
    return table


def labels(task: TaskSpec) -> str:
    """How many there are, and the first few; of a regression what its numbers are around."""
    if task.kind == "regression":
        return f"numbers around {shown(task.center)}, spread {shown(task.spread)}"
    first = ", ".join(shorten(label, LONGEST) for label in task.labels[:LABELS])
    return f"{len(task.labels):,}: {first}{', ...' if len(task.labels) > LABELS else ''}"


def lineage_table(lineage: tuple[ParentFacts, ...]) -> Table:
    """A row a parent, each further in than what was made from it."""
    table = new_table()
    table.add_column("from", overflow="fold", min_width=14)
    table.add_column("stage", no_wrap=True)
    table.add_column("finished", no_wrap=True)
    table.add_column("digest recorded", no_wrap=True)
    table.add_column("on disk", no_wrap=True)
    for parent in lineage:
        place = "  " * (parent.depth - 1) + ("taught by " if parent.role == "teacher" else "") + parent.path
        condition = literal(parent.condition, GOOD if parent.condition == "same" else BAD)
        cells = [parent.stage or "-", parent.finished[:10] or "-", parent.recorded[:DIGEST]]
        table.add_row(literal(place), *map(literal, cells), condition)
    return table


def data_table(data: Mapping[str, Any]) -> Table:
    """A row a set of rows or texts: where they came from, how many they were, and their fingerprint."""
    table = new_table()
    table.add_column("data", overflow="fold", min_width=8)
    table.add_column("source", overflow="fold", min_width=14)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("SHA-256", no_wrap=True)
    for name, source, rows, digest in data_rows(data):
        table.add_row(*map(literal, (name, source, rows, digest[:DIGEST])))
    return table


def data_rows(data: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Name, source, rows and fingerprint: a row a split of each task, or a row a text that a base was trained on."""
    sources = data.get("sources")
    shared = ", ".join(map(str, sources)) if isinstance(sources, list) else ""
    for name, value in data.items():
        if isinstance(value, dict):
            splits = {key: split for key, split in value.items() if isinstance(split, dict) and "sha256" in split}
            watched = ", watched" if value.get("watched") else ""
            for key, split in splits.items():
                rows = split.get("rows", split.get("values"))
                yield f"{name}, {key}{watched}", str(value.get("source", "")), shown(rows), str(split["sha256"])
        elif isinstance(value, str):
            yield name, shared, "-", value


def versions_table(recorded: Mapping[str, str], here: Mapping[str, str | None]) -> Table:
    table = new_table()
    for title in ("package", "recorded", "installed"):
        table.add_column(title, overflow="fold")
    for package, version in here.items():
        then = recorded.get(package)
        style = "" if then == version or then is None else "yellow"
        table.add_row(literal(package), literal(str(then or "-")), literal(version or "-", style))
    return table


def files_table(files: tuple[FileFacts, ...]) -> Table:
    table = new_table()
    table.add_column("file", overflow="fold", min_width=12)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("SHA-256 recorded", no_wrap=True)
    table.add_column("now", no_wrap=True)
    for file in files:
        size = "-" if file.size is None else f"{file.size:,}"
        condition = Text(file.condition, style=GOOD if file.condition == "ok" else BAD)
        table.add_row(literal(file.name), size, literal(file.recorded[:DIGEST]), condition)
    return table


def closing(facts: RunFacts) -> Iterator[tuple[str, str]]:
    """What is to be said below the tables, with its style."""
    for parent in facts.lineage:
        if parent.condition == "changed":
            yield f"{parent.path} is another by now: its digest is {parent.found}, recorded is {parent.recorded}", "yellow"
    for export in facts.exports:
        yield f"an export inside: {export}", ""
    for name in facts.unlisted:
        yield f"not in its record: {name}", "yellow"
    for problem in facts.problems:
        yield problem, BAD
    if facts.files and not facts.problems:
        yield f"all {len(facts.files)} files are what was written", GOOD
