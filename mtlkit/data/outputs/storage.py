"""Where the parts of an output are stored: a local folder, or one at a URL that fsspec knows. Files appear there whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from mtlkit.data.formats.files import DataFile, LocalFile
from mtlkit.data.sources.remote import REMOTE, RemoteFile, file_system, translated_errors
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import file_digest

WHOLE_UPLOADS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "memory"}  # an object appears when it is complete


ADVICE = "continue with --resume when it can be, or give a local folder"


def _translated(url: str) -> AbstractContextManager[None]:
    return translated_errors(url, ADVICE)


class Storage(Protocol):
    """A folder. Names may have a subfolder, as in `_parts/a.json`."""

    staging: Path  # a local folder for files that are put here

    def __str__(self) -> str: ...

    def names(self, folder: str = "") -> list[str]:
        """The names of the files in the folder or in a subfolder, sorted; none if it does not exist."""
        ...

    def read(self, name: str) -> bytes | None: ...

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        """The content of several files. Raises FileNotFoundError if one of them does not exist."""
        ...

    def write(self, name: str, content: bytes) -> None: ...

    def put(self, staged: Path, name: str) -> None:
        """Moves a staged file here."""
        ...

    def size(self, name: str) -> int | None: ...

    def digest(self, name: str) -> str | None:
        """The SHA-256 of a file; None where that would have to be downloaded."""
        ...

    def file(self, name: str) -> DataFile: ...

    def remove(self, name: str) -> None: ...

    def remove_folder(self, folder: str) -> None:
        """Removes a subfolder if it is empty."""
        ...


class LocalStorage:
    """A local folder."""

    def __init__(self, folder: Path, staging: str) -> None:
        self.folder, self.staging = folder, folder / staging

    def __str__(self) -> str:
        return str(self.folder)

    def names(self, folder: str = "") -> list[str]:
        try:
            return sorted(path.name for path in (self.folder / folder).iterdir() if path.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        return [(self.folder / name).read_bytes() for name in names]

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        with disk.saving(path, "free some space and continue with --resume"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with disk.atomic_file(path) as file:
                file.write(content)

    def put(self, staged: Path, name: str) -> None:
        with disk.saving(self.folder / name, "free some space and continue with --resume"):
            disk.rename(staged, self.folder / name)
            disk.sync(self.folder)

    def size(self, name: str) -> int | None:
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return None

    def digest(self, name: str) -> str | None:
        return file_digest(self.folder / name)

    def file(self, name: str) -> DataFile:
        return LocalFile(self.folder / name)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:
        with suppress(OSError):
            (self.folder / folder).rmdir()


class RemoteStorage:
    """A folder at a URL. Files are written to a local folder first."""

    def __init__(self, url: str, staging: Path) -> None:
        self.url, self.staging = url.rstrip("/"), staging
        self.system: Any
        self.system, path = file_system(self.url)
        self.path = path.rstrip("/")
        self.whole = self.url.partition("://")[0].lower() in WHOLE_UPLOADS

    def __str__(self) -> str:
        return self.url

    def _path(self, name: str) -> str:
        return f"{self.path}/{name}" if name else self.path

    def names(self, folder: str = "") -> list[str]:
        with _translated(self.url):
            self.system.invalidate_cache()
            try:
                entries = self.system.ls(self._path(folder), detail=True)
            except (FileNotFoundError, NotADirectoryError):
                return []
            return sorted(entry["name"].rpartition("/")[2] for entry in entries if entry["type"] == "file")

    def read(self, name: str) -> bytes | None:
        with _translated(f"{self.url}/{name}"):
            try:
                content: bytes = self.system.cat_file(self._path(name))
            except FileNotFoundError:
                return None
            return content

    def read_all(self, names: Sequence[str]) -> list[bytes]:
        paths = [self._path(name) for name in names]
        if not paths:
            return []
        with _translated(self.url):
            try:
                contents = self.system.cat(paths)
            except FileNotFoundError:
                contents = {}
        if len(contents) < len(paths):
            raise FileNotFoundError(self.url)
        return [contents[path] for path in paths]

    def write(self, name: str, content: bytes) -> None:
        with _translated(f"{self.url}/{name}"):
            with suppress(FileExistsError):
                self.system.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
            self.system.pipe_file(self._path(name), content)

    def put(self, staged: Path, name: str) -> None:
        path = self._path(name)
        target = path if self.whole else f"{self._path('')}/.{name}.unfinished"
        with _translated(f"{self.url}/{name}"):
            self.system.put_file(str(staged), target)
            if not self.whole:
                self.system.mv(target, path)
        staged.unlink()

    def size(self, name: str) -> int | None:
        with _translated(f"{self.url}/{name}"):
            try:
                return int(self.system.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def digest(self, name: str) -> str | None:
        return None

    def file(self, name: str) -> DataFile:
        return RemoteFile(self.system, self._path(name), f"{self.url}/{name}")

    def remove(self, name: str) -> None:
        with _translated(f"{self.url}/{name}"), suppress(FileNotFoundError):
            self.system.rm_file(self._path(name))

    def remove_folder(self, folder: str) -> None:
        with suppress(Exception):  # object stores have no folders
            self.system.rmdir(self._path(folder))


@contextmanager
def open_storage(address: str, staging: str = "_parts") -> Iterator[Storage]:
    """The folder at a path or URL. Files are staged in a subfolder, or for a URL in a temporary folder. Raises DataError,
    NetworkError, UsageError if a package is missing."""
    if not REMOTE.fullmatch(address):
        yield LocalStorage(Path(address), staging)
        return
    with tempfile.TemporaryDirectory(prefix="mtlkit-") as folder:
        yield RemoteStorage(address, Path(folder))
