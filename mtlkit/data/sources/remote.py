"""Files behind an address such as s3://bucket/train.csv or hf://datasets/USER/NAME/train.parquet, through fsspec."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any, ClassVar

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.base import SOURCES, FilesSource, Source, SourceType, query_columns, query_dialect
from mtlkit.data.sources.hub import is_network_fault, offline, unreachable
from mtlkit.data.sources.readers import READERS, is_data
from mtlkit.data.sources.spec import Query
from mtlkit.data.sources.splits import SplitFiles, group
from mtlkit.errors import DataError, MtlkitError, NetworkError, UsageError, first_line, listed, suggest

REMOTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.+", re.DOTALL)
PACKAGES = {  # by the module that is missing, where the package has another name
    "aiohttp": "fsspec[http]",
    "dask": "dask[distributed]",
    "libarchive": "libarchive-c",
    "smbclient": "smbprotocol",
    "lakefs_spec": "lakefs-spec",
}
WRAPPERS = {"async_wrapper", "asyncwrapper", "blockcache", "cached", "dir", "filecache", "generic", "reference", "simplecache"}


@dataclass(frozen=True)
class RemoteFile:
    """A file of an fsspec file system."""

    system: Any
    path: str
    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def file_name(self) -> str:
        return self.path.partition("?")[0].rstrip("/").rpartition("/")[2]

    def size(self) -> int:
        with told(self.url):
            return int(self.system.size(self.path) or 0)

    def open(self) -> IO[bytes]:
        with told(self.url):
            opened: IO[bytes] = self.system.open(self.path, "rb")
            return opened


@dataclass(frozen=True)
class RemoteSource(FilesSource):
    """A file, a folder or the files of a pattern behind an address."""

    name: str = field(kw_only=True)
    previewed: ClassVar[bool] = False

    @cached_property
    def _grouped(self) -> SplitFiles:
        system, path = file_system(self.name)
        with told(self.name):
            if "*" in path:
                paths = sorted(system.glob(path))
            elif system.isfile(path) or self.name.startswith("http"):
                return SplitFiles({"train": [RemoteFile(system, path, self.name)]})
            else:
                paths = sorted(one for one in system.find(path) if is_data(one))
        if not paths:
            raise DataError(f"{self.name}: no {listed(READERS)} file there")
        root = path.partition("*")[0].rpartition("/")[0] if "*" in path else path
        files = [RemoteFile(system, one, system.unstrip_protocol(one)) for one in paths]
        return group(
            [(tuple(one.removeprefix(root).strip("/").split("/")[:-1]), file) for one, file in zip(paths, files, strict=True)],
            self.name,
        )

    def grouped(self) -> SplitFiles:
        return self._grouped


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it. Raises UsageError where a package is missing, DataError for an
    unknown protocol, NetworkError where the host cannot be reached."""
    protocol = url.partition("://")[0].lower()
    if protocol == "hf" and offline():
        raise NetworkError(f"{url}: {unreachable('a local file')}")
    import fsspec

    known = sorted(set(fsspec.available_protocols()) - WRAPPERS)
    if protocol not in {*known, *WRAPPERS, *fsspec.registry}:
        raise DataError(f"{url}: unknown protocol {protocol}://{suggest(protocol, known)}; known: {listed(known, len(known))}")
    with told(url):  # some connect at once
        try:
            found: tuple[Any, str] = fsspec.core.url_to_fs(url)
            return found
        except ImportError as error:
            raise UsageError(f"{url}: {_missing_package(protocol, error)}") from None


def _missing_package(protocol: str, error: ImportError) -> str:
    """What to install for a protocol; the module that was not found is in the cause of fsspec's own error."""
    cause = error if error.name else error.__cause__
    module = (getattr(cause, "name", None) or "").partition(".")[0]
    if not module:
        return f"{protocol}:// cannot be used here ({first_line(error)})"
    return f"{protocol}:// needs another package; install it with: pip install {shlex.quote(PACKAGES.get(module, module))}"


@contextmanager
def told(url: str) -> Iterator[None]:
    """What file systems raise, in one line."""
    try:
        yield
    except MtlkitError:
        raise
    except FileNotFoundError:
        raise DataError(f"{url}: no such file or folder") from None
    except PermissionError as error:
        raise DataError(f"{url}: no permission ({first_line(error)})") from None
    except Exception as error:  # their libraries share no class
        reason = first_line(error)
        if is_network_fault(error):
            raise NetworkError(f"{url}: cannot be reached ({reason}); give a local file") from None
        raise DataError(f"{url}: {reason}") from None


class RemoteType(SourceType):
    name = "remote"
    form = "https://..., s3://..., hf://..."
    help = "A file, a folder or a pattern behind an address that fsspec knows."
    rank = 30

    def matches(self, address: str) -> bool:
        return REMOTE.fullmatch(address) is not None

    def open(self, address: str, query: Query, recorded: Sequence[SourceRecord]) -> Source:
        return RemoteSource(query_dialect(query, recorded), query_columns(query), name=address)


SOURCES.add(RemoteType())
