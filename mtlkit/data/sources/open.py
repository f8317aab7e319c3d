"""Opens the source at an address, by the first type of source that matches the address."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.base import SOURCES, Source, SourceType
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.errors import DataError, listed, suggest

SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:(?![/\\]).*", re.DOTALL)  # "sampel:topic", but no path on a drive


def source_types() -> list[SourceType]:
    """All types of source, in the order in which they are tried."""
    return sorted(SOURCES.values(), key=lambda source_type: source_type.rank)


def type_of(address: str) -> SourceType | None:
    """The type of source that an address belongs to; None if there is none."""
    return next((source_type for source_type in source_types() if source_type.matches(address)), None)


def open_source(address: str, query: Query, recorded: Sequence[SourceRecord] = ()) -> Source:
    """The source at an address; an existing file or folder takes precedence over other forms. Options that the query leaves open
    are those of a model's data, if `recorded`. Raises DataError if nothing is found."""
    source_type = type_of(address)
    if source_type is None:
        raise DataError(_missing(address))
    return source_type.open(address, query, recorded)


def local_paths(address: str) -> list[str]:
    """The local files and folders that an address names, whether they exist or not; none if it is remote or a sample."""
    source_type = type_of(address) if address else None
    return source_type.files(address) if source_type else [address] if address else []


def _missing(address: str) -> str:
    """The error message for a missing file, with the nearest existing name."""
    path = Path(address)
    try:
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        path.lstat()
    except FileNotFoundError:
        forms = f"; sources: {listed(known.form for known in source_types())}" if SCHEME.fullmatch(address) else ""
        several = any(os.path.exists(part.strip()) for part in address.split(",")[:-1])
        if several:
            return f"{address}: no such file; give one source at a time: repeat the option, or put spaces between files"
        return f"{address}: no such file{suggest(path.name, near) or forms}"
    except (OSError, ValueError) as error:
        return f"{address}: {getattr(error, 'strerror', None) or error}"
    return f"{address}: no such file"
