"""Events that report how a source was read."""

from __future__ import annotations

from collections.abc import Iterator

from mtlkit.config.source_record import SourceRecord
from mtlkit.report.sources import source_line
from mtlkit.training.events import Note


def source_notes(record: SourceRecord, name: str) -> Iterator[Note]:
    """One line on how the source was read, then warnings."""
    yield Note(source_line(record, name))
    yield from (Note(remark, warning=True) for remark in record.remarks)
