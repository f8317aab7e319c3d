"""Writes a row for each text to one file, through parts that are kept if the run is interrupted."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import starmap
from pathlib import Path
from typing import Any

from mtlkit.data.outputs.resumable_output import OutputParts
from mtlkit.data.prefetch import ahead
from mtlkit.errors import rows_from
from mtlkit.progress import counting
from mtlkit.recipes.inputs.texts import parts
from mtlkit.recipes.outputs.finished_output import TextsDigest, check_finished, note_finished
from mtlkit.recipes.outputs.job import Job, OutputProgress, identities


@dataclass(frozen=True)
class PreparedPart:
    """Some rows, what they were made from, and what `Job.prepare` makes of them; None if an earlier run has saved the part."""

    number: int
    rows: list[Any]
    texts: list[str]
    prepared: Any | None


def write_to_file(job: Job, output: Path, *, resume: bool, overwrite: bool) -> Iterator[OutputProgress]:
    """Writes all rows to a file that `locked` holds. Raises UsageError, DataError, SavingError."""
    done = OutputParts(output, job.made_by())
    if resume and output.exists() and not done.any():
        count = check_finished(output, done.made_by, (text for rows in parts(job.rows()) for text in identities(rows)))
        yield OutputProgress("finished", count, count, count)
        return
    total = job.total()
    done.open(resume, overwrite)
    texts, reused, count = TextsDigest(), 0, 0
    try:
        with closing(_prepared(job, done)) as stream:
            for part in stream:
                if part.prepared is None:
                    reused += len(part.rows)
                else:
                    with rows_from(texts.count), counting(job.activity, "encoded", total, done=texts.count):
                        computed = job.compute(part.rows, part.prepared)
                    done.write(part.number, computed)
                texts.add(part.texts)
                count += 1
                yield OutputProgress("computed", texts.count, total, reused)
        written = 0
        for more in done.assemble(count, job.layout):
            written += more
            yield OutputProgress("written", written, texts.count, reused)
        note_finished(done.output, done.made_by, texts)
    finally:
        if not done.any():
            done.remove()


def _prepared(job: Job, done: OutputParts) -> Generator[PreparedPart, None, None]:
    """Reads and prepares parts, in a thread, so that the next part is ready when the model has processed the current one."""

    def prepare(number: int, rows: list[Any]) -> PreparedPart:
        texts = identities(rows)
        return PreparedPart(number, rows, texts, None if done.holds(number, texts) else job.prepare(rows))

    prepared = starmap(prepare, enumerate(parts(job.rows())))
    yield from ahead(prepared) if job.threaded else prepared
