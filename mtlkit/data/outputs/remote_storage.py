"""Parts of an output at a URL that fsspec knows, and the choice between that and a local folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from mtlkit.data.formats.files import DataFile
from mtlkit.data.outputs.storage import LocalStorage, Storage
from mtlkit.data.sources.remote import REMOTE, RemoteFile, file_system, translated_errors

WHOLE_UPLOADS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "hf", "memory"}  # an object appears when it is complete
ADVICE = "continue with --resume when it can be, or give a local folder"


def _translated(url: str) -> AbstractContextManager[None]:
    return translated_errors(url, ADVICE)


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
