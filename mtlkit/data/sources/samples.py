"""The samples inside the package, addressed as sample:NAME."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.base import SOURCES, Source, SourceType
from mtlkit.data.sources.files import FolderSource
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.errors import DataError, listed, suggest

PREFIX = "sample:"


def sample_source(address: str) -> FolderSource:
    """The sample at an address. Raises DataError if there is no such sample."""
    folder = Path(str(resources.files("mtlkit.data"))) / "sample"
    known = sorted(path.name for path in folder.iterdir() if path.is_dir())
    name = address.removeprefix(PREFIX)
    if name not in known:
        addresses = [f"{PREFIX}{sample}" for sample in known]
        raise DataError(f"{address}: no such sample; samples: {listed(addresses)}{suggest(address, addresses)}")
    return FolderSource(path=folder / name, name=address)


class SampleType(SourceType):
    name = "sample"
    form = "sample:NAME"
    help = "A sample that comes with mtlkit: sample:topic, sample:sentiment."
    rank = 10

    def matches(self, address: str) -> bool:
        return address.startswith(PREFIX)

    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        return sample_source(address)


SOURCES.add(SampleType())
