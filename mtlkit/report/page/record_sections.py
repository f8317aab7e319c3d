"""Sections of a page from the record of a run: frozen parts, data and what was found in it, lineage, versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mtlkit.report.info import DIGEST, data_rows, versions_rows
from mtlkit.report.page.blocks import Block, Section, columns
from mtlkit.report.page.effects import sentences
from mtlkit.report.run_facts import ParentFacts, RunFacts
from mtlkit.report.text import printable
from mtlkit.runs.record import RunRecord

INDENT = "\N{NO-BREAK SPACE}" * 4
PROOF = 16  # characters of a digest that proves something
FINDINGS = "data_findings"
NOT_RECORDED = "Not recorded: the run was written by an earlier version of mtlkit."


def freezing_section(report: Mapping[str, Any]) -> Section:
    """The proof that frozen parts did not change: their digests before and after training."""
    rows = tuple(
        (
            str(row["part"]),
            f"{row['parameters']:,}",
            str(row["before"])[:PROOF],
            str(row["after"])[:PROOF],
            "unchanged" if row["before"] == row["after"] else "CHANGED",
        )
        for row in report["parts"]
    )
    note = f"The first {PROOF} of 64 characters; run.json has them all."
    titles = columns("part", "weights", "SHA-256 before", "SHA-256 after", "result", numbers=["weights"])
    return Section("Frozen parts", sentences(report), tables=(Block("Digests of frozen weights", titles, rows, note),))


def freezing_not_recorded(record: RunRecord) -> Section | None:
    """Says that a run of an earlier version has frozen parts and no proof."""
    frozen = record.options.get("freeze")
    text = ",".join(map(str, frozen)) if isinstance(frozen, list) else str(frozen or "")
    if text in ("", "none") or "@until" in text:
        return None
    return Section("Frozen parts", (f"--freeze {printable(text)}. {NOT_RECORDED}",))


def data_section(record: RunRecord, changed: Sequence[str] = ()) -> Section | None:
    """Sources, rows and fingerprints, and what was found in the rows. The test rows of `changed` tasks have other ones now."""
    old = {f"{name}, test" for name in changed}
    rows = tuple(
        (name, printable(source), count, digest[:DIGEST] + (" (as of the training; changed since)" if name in old else ""))
        for name, source, count, digest in data_rows(record.data)
    )
    found = record.metrics.get(FINDINGS)
    if isinstance(found, Mapping):
        lines = sentences(found) or ("No problems found in the rows of training and validation.",)
    else:
        lines = (f"Findings: {NOT_RECORDED[0].lower()}{NOT_RECORDED[1:]}",) if record.stage == "mtl" else ()
    if not rows and not lines:
        return None
    block = Block(
        "What the run was trained on", columns("data", "source", "rows", "SHA-256", numbers=["rows"], long=["source"]), rows
    )
    return Section("Data", lines, tables=(block,) if rows else ())


def lineage_section(lineage: tuple[ParentFacts, ...]) -> Section | None:
    """The ancestors of a run, each after the run that started from it."""
    if not lineage:
        return None
    rows = tuple(
        (
            INDENT * (one.depth - 1) + ("" if one.role == "parent" else f"{one.role}: ") + printable(one.path),
            one.stage or "-",
            one.finished[:10] or "-",
            one.recorded[:DIGEST],
            one.condition,
            printable(one.command) or "-",
        )
        for one in lineage
    )
    titles = columns("from", "stage", "finished", "digest", "on disk", "command", long=["from", "command"])
    return Section("Lineage", tables=(Block("What the run descends from", titles, rows),))


def versions_section(facts: RunFacts) -> Section | None:
    """Versions of packages when the run was made, and now."""
    if facts.record is None:
        return None
    rows = tuple(versions_rows(facts.record.versions, facts.installed))
    return Section("Environment", tables=(Block("Versions", columns("package", "recorded", "installed"), rows),))
