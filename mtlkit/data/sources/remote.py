"""Files behind an address such as s3://bucket/train.csv or hf://datasets/USER/NAME/train.parquet, through fsspec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

from mtlkit.data.hub import is_network_fault, offline
from mtlkit.data.readers import READERS, is_data
from mtlkit.data.sources.base import FilesSource
from mtlkit.data.sources.splits import Grouped, group
from mtlkit.errors import DataError, NetworkError, UsageError, listed

REMOTE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://.+", re.DOTALL)
PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "hf": "huggingface_hub",
} | {
    "http": "'fsspec[http]'",
    "https": "'fsspec[http]'",
}


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

    @cached_property
    def _grouped(self) -> Grouped:
        system, path = file_system(self.name)
        with told(self.name):
            if "*" in path:
                paths = sorted(system.glob(path))
            elif system.isfile(path) or self.name.startswith("http"):
                return Grouped({"train": [RemoteFile(system, path, self.name)]})
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

    def grouped(self) -> Grouped:
        return self._grouped


def file_system(url: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path in it. Raises UsageError where a package is missing."""
    protocol = url.partition("://")[0].lower()
    if protocol == "hf" and offline():
        raise NetworkError(f"{url}: offline, as HF_HUB_OFFLINE says; give a local file")
    import fsspec

    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
        return found
    except ImportError as error:
        package = PACKAGES.get(protocol, "")
        way = f"pip install {package}" if package else next(iter(str(error).splitlines()), "")
        raise UsageError(f"{url}: {protocol}:// needs another package; install it with: {way}") from None
    except ValueError as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{url}: {reason}") from None


@contextmanager
def told(url: str) -> Iterator[None]:
    """What file systems raise, in one line."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{url}: no such file or folder") from None
    except PermissionError as error:
        raise DataError(f"{url}: no permission ({next(iter(str(error).splitlines()), '')})") from None
    except Exception as error:  # their libraries share no class
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        if is_network_fault(error):
            raise NetworkError(f"{url}: cannot be reached ({reason}); give a local file") from None
        raise DataError(f"{url}: {reason}") from None
