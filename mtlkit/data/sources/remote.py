"""Files at a URL such as s3://bucket/train.csv or hf://datasets/USER/NAME/train.parquet, read with fsspec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any, ClassVar

from mtlkit.config.shell import quoted
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.base import SOURCES, FilesSource, Source, SourceType, query_columns, query_dialect
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.hub import is_network_fault, offline, unreachable
from mtlkit.data.sources.readers import READERS, is_data
from mtlkit.data.sources.splits import SplitFiles, group
from mtlkit.errors import DataError, MtlkitError, NetworkError, UsageError, first_line, listed, suggest

REMOTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.+", re.DOTALL)
PACKAGES = {  # by module, if the package has another name
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
        with translated_errors(self.url):
            return int(self.system.size(self.path) or 0)

    def open(self) -> IO[bytes]:
        with translated_errors(self.url):
            opened: IO[bytes] = self.system.open(self.path, "rb")
            return opened


@dataclass(frozen=True)
class RemoteSource(FilesSource):
    """A file, a folder or the files that match a pattern, at a URL."""

    name: str = field(kw_only=True)
    previewed: ClassVar[bool] = False

    @cached_property
    def files(self) -> list[RemoteFile]:
        """The files, sorted by name. Raises DataError, NetworkError."""
        system, path = file_system(self.name)
        with translated_errors(self.name):
            if "*" in path:
                paths = sorted(system.glob(path))
            elif self.name.startswith("http") or system.isfile(path):
                return [RemoteFile(system, path, self.name)]
            else:
                paths = sorted(name for name in system.find(path) if is_data(name))
        files = [RemoteFile(system, name, system.unstrip_protocol(name)) for name in paths]
        files = [
            file for file in files if not any(part.startswith((".", "_")) for part in (*self._folders(file), file.file_name))
        ]
        if not files:
            raise DataError(f"{self.name}: no {listed(READERS, len(READERS))} file found")
        return files

    @property
    def looks_like_file(self) -> bool:
        """Whether the URL is that of a file, judging by its suffix."""
        return "*" not in self.name and is_data(self.name.partition("?")[0])

    def _names(self, file: RemoteFile) -> tuple[str, ...]:
        """The names of a file and of the folders below the URL that it is in."""
        return (*self._folders(file), file.file_name)

    def _folders(self, file: RemoteFile) -> tuple[str, ...]:
        """The folders below the URL that a file is in."""
        path = file_system(self.name)[1]
        root = path.partition("*")[0].rpartition("/")[0] if "*" in path else path
        return tuple(file.path.removeprefix(root).strip("/").split("/")[:-1])

    @cached_property
    def _grouped(self) -> SplitFiles:
        if len(self.files) == 1 and self.files[0].url == self.name:
            return SplitFiles({"train": [*self.files]})
        return group([(self._folders(file), file) for file in self.files], self.name)

    def grouped(self) -> SplitFiles:
        return self._grouped


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises UsageError if a package is missing, DataError for an unknown protocol, NetworkError if the host cannot be reached.
    """
    protocol = url.partition("://")[0].lower()
    if protocol == "hf" and offline():
        raise NetworkError(f"{url}: {unreachable('a local file')}")
    import fsspec

    known = sorted(set(fsspec.available_protocols()) - WRAPPERS)
    if protocol not in {*known, *WRAPPERS, *fsspec.registry}:
        raise DataError(f"{url}: unknown protocol {protocol}://{suggest(protocol, known)}; known: {listed(known, len(known))}")
    with translated_errors(url):  # some file systems connect immediately
        try:
            system, path = fsspec.core.url_to_fs(url)
            return system, path
        except ImportError as error:
            raise UsageError(f"{url}: {_missing_package(protocol, error)}") from None


def _missing_package(protocol: str, error: ImportError) -> str:
    """What to install for a protocol; the missing module is named in the cause of fsspec's error."""
    cause = error if error.name else error.__cause__
    module = (getattr(cause, "name", None) or "").partition(".")[0]
    if not module:
        return f"{protocol}:// cannot be used ({first_line(error)})"
    return f"{protocol}:// needs another package; install it with: pip install {quoted(PACKAGES.get(module, module))}"


@contextmanager
def translated_errors(url: str, advice: str = "give a local file") -> Iterator[None]:
    """Turns the errors of file systems into one-line errors of mtlkit; `advice` is for a host that cannot be reached."""
    try:
        yield
    except MtlkitError:
        raise
    except FileNotFoundError:
        raise DataError(f"{url}: no such file or folder") from None
    except PermissionError as error:
        raise DataError(f"{url}: permission denied ({first_line(error)})") from None
    except Exception as error:  # the libraries share no base class
        reason = first_line(error)
        if is_network_fault(error):
            raise NetworkError(f"{url}: cannot be reached ({reason}); {advice}") from None
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
