"""From an address to its source: a sample, a file, a folder, a pattern, standard input, a remote file, a data set of the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from mtlkit.config.paths import expand
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.formats.files import split_suffix
from mtlkit.data.formats.unsupported import BY_HAND, BY_PANDAS
from mtlkit.data.sources.base import Source, query_columns, query_dialect
from mtlkit.data.sources.files import FileSource, FolderSource, PatternSource, matches
from mtlkit.data.sources.hub_source import HubSource
from mtlkit.data.sources.readers import READERS
from mtlkit.data.sources.remote import REMOTE, RemoteSource
from mtlkit.data.sources.spec import Query, exists
from mtlkit.data.sources.standard_input import StandardInput
from mtlkit.errors import DataError, listed, suggest

HUB_ID = re.compile(r"(?!.*\.\.)\w[\w.-]*(/\w[\w.-]*)?")
SHORT_NAMES = {"ag_news": "fancyzhx/ag_news", "imdb": "stanfordnlp/imdb"}


def open_source(address: str, query: Query, recorded: Sequence[SourceRecord] = ()) -> Source:
    """The source at an address; what exists as a file or a folder is that. Where the query says nothing, its files are read as
    those of a model were, if `recorded` says how. Raises DataError when there is nothing there."""
    dialect, columns = query_dialect(query, recorded), query_columns(query)
    if exists(address):
        path = expand(address)
        if path.is_dir():
            return FolderSource(dialect, columns, path=path, name=address)
        return FileSource(dialect, columns, path=path)
    if address.startswith("sample:"):
        return sample_source(address)
    if address == "-":
        return StandardInput(dialect, columns)
    if REMOTE.fullmatch(address):
        return RemoteSource(dialect, columns, name=address)
    if any(mark in address for mark in "*["):
        return PatternSource(dialect, columns, name=address)
    if not HUB_ID.fullmatch(address) or split_suffix(address)[0] in (*READERS, *BY_HAND, *BY_PANDAS):
        raise DataError(_missing(address))
    return HubSource(SHORT_NAMES.get(address, address), query.config, columns)


def local_paths(address: str) -> list[str]:
    """The files and folders of this machine that an address means, there or not; none where it is remote or a sample."""
    if not address or address.startswith("sample:") or REMOTE.fullmatch(address):
        return []
    if not exists(address) and any(mark in address for mark in "*["):
        return [str(path) for path in matches(address)]
    return [address]


def _missing(address: str) -> str:
    """That there is no such file, with the nearest name beside it."""
    path = Path(address)
    try:
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        path.lstat()
    except FileNotFoundError:
        return f"{address}: no such file{suggest(path.name, near)}"
    except (OSError, ValueError) as error:
        return f"{address}: {getattr(error, 'strerror', None) or error}"
    return f"{address}: no such file"


def sample_source(address: str) -> FolderSource:
    """One of the corpora inside the package."""
    folder = Path(str(resources.files("mtlkit.data"))) / "sample"
    known = sorted(path.name for path in folder.iterdir() if path.is_dir())
    name = address.removeprefix("sample:")
    if name not in known:
        names = [f"sample:{one}" for one in known]
        raise DataError(f"{address}: no such sample; there are {listed(names)}{suggest(address, names)}")
    return FolderSource(path=folder / name, name=address)
