"""Where the parts of an output are stored, and a local folder for them. Files appear there whole."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mtlkit.data.formats.files import DataFile, LocalFile
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import file_digest


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
