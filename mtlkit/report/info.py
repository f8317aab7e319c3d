"""The tables of `mtlkit info`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mtlkit.report.cards.facts import TITLES
from mtlkit.report.info_model import architecture_pairs, metric_tables, pairs, parts_table, shown, tasks_table
from mtlkit.report.run_facts import FileFacts, ParentFacts, RunFacts
from mtlkit.report.tables import new_table, titled
from mtlkit.report.text import literal

DIGEST = 12  # characters of a digest in a table; --json shows all
GOOD, BAD = "green", "bold red"


def info_tables(facts: RunFacts, width: int) -> Iterator[RenderableType]:
    """All tables, from the summary to the integrity of the files; unknown facts are omitted."""
    yield titled("Run", pairs(run_pairs(facts)))
    if facts.checkpoint:
        yield titled("Architecture", pairs(architecture_pairs(facts.checkpoint)))
    if facts.parts:
        yield titled("Model parts", parts_table(facts))
    if facts.checkpoint and facts.checkpoint.tasks:
        yield titled("Tasks", tasks_table(facts.checkpoint))
    if facts.lineage:
        yield titled("Lineage", lineage_table(facts.lineage))
    if facts.record:
        if facts.record.data:
            yield titled("Data", data_table(facts.record.data))
        yield from metric_tables(facts.record.metrics, width)
        yield titled("Versions", versions_table(facts.record.versions, facts.installed))
    if facts.files:
        yield titled("Files", files_table(facts.files))
    yield from (literal(text, style) for text, style in closing(facts))


def run_pairs(facts: RunFacts) -> dict[str, str]:
    rows = {"folder": facts.name}
    if facts.record:
        title = TITLES.get(facts.record.stage, facts.record.stage)
        rows["type"] = title if facts.kind == "run" else f"{title} ({facts.kind})"
        rows |= {"command": facts.record.command, "finished": facts.record.finished.replace("T", " ")[:19] + " UTC"}
        rows["seed"] = str(facts.record.seed)
    else:
        rows["type"] = facts.kind
    if facts.state:
        rows["checkpoints"] = ", ".join(f"step {step:,}" for step in facts.state["steps"])
        if about := facts.state["about"]:
            sources = (
                f"{name} ({data['source']})"
                for name, data in about["data"].items()
                if isinstance(data, dict) and "source" in data
            )
            rows |= {"command": about["typed"], "initialized from": about["init"], "data": ", ".join(sources)}
            more = " --extend EPOCHS" if facts.record else ""
            rows["resume with"] = f"mtlkit {about['command']} --resume {facts.path}{more}"
    return rows


def lineage_table(lineage: tuple[ParentFacts, ...]) -> Table:
    """One row per ancestor, indented below the run that was initialized from it."""
    table = new_table()
    table.add_column("from", overflow="fold", min_width=14)
    table.add_column("stage", no_wrap=True)
    table.add_column("finished", no_wrap=True)
    table.add_column("recorded digest", no_wrap=True)
    table.add_column("on disk", no_wrap=True)
    for parent in lineage:
        name = "  " * (parent.depth - 1) + ("" if parent.role == "parent" else f"{parent.role}: ") + parent.path
        condition = literal(parent.condition, GOOD if parent.condition == "same" else BAD)
        cells = [parent.stage or "-", parent.finished[:10] or "-", parent.recorded[:DIGEST]]
        table.add_row(literal(name), *map(literal, cells), condition)
    return table


def data_table(data: Mapping[str, Any]) -> Table:
    """One row per split or corpus: its source, number of rows and fingerprint."""
    table = new_table()
    table.add_column("data", overflow="fold", min_width=8)
    table.add_column("source", overflow="fold", min_width=14)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("SHA-256", no_wrap=True)
    for name, source, rows, digest in data_rows(data):
        table.add_row(*map(literal, (name, source, rows, digest[:DIGEST])))
    return table


def data_rows(data: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Name, source, rows and fingerprint of each split of each task, or of each corpus of a base."""
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
    for package, then, now in versions_rows(recorded, here):
        table.add_row(literal(package), literal(then), literal(now, "" if then in (now, "-") else "yellow"))
    return table


def versions_rows(recorded: Mapping[str, str], here: Mapping[str, str | None]) -> Iterator[tuple[str, str, str]]:
    """Package, recorded and installed version."""
    for package, version in here.items():
        yield package, str(recorded.get(package) or "-"), version or "-"


def files_table(files: tuple[FileFacts, ...]) -> Table:
    table = new_table()
    table.add_column("file", overflow="fold", min_width=12)
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("recorded SHA-256", no_wrap=True)
    table.add_column("now", no_wrap=True)
    for file in files:
        size = "-" if file.size is None else f"{file.size:,}"
        condition = Text(file.condition, style=GOOD if file.condition == "ok" else BAD)
        table.add_row(literal(file.name), size, literal(file.recorded[:DIGEST]), condition)
    return table


def closing(facts: RunFacts) -> Iterator[tuple[str, str]]:
    """The lines below the tables, with their styles."""
    for parent in facts.lineage:
        if parent.condition == "changed":
            yield f"{parent.path} has changed: digest {parent.found}, recorded {parent.recorded}", "yellow"
    for export in facts.exports:
        yield f"contains an export: {export}", ""
    for name in facts.unlisted:
        yield f"not listed in run.json: {name}", "yellow"
    for problem in facts.problems:
        yield problem, BAD
    if facts.files and not facts.problems:
        yield f"all {len(facts.files)} files verified", GOOD
