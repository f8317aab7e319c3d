"""A repository of the hub as it is now."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mtlkit.recipes.publishing.files import ExportedFile
from mtlkit.recipes.publishing.hub_errors import hub_errors
from mtlkit.runs.record import EXPORT_RECORD, RECORD

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository: its size, and the digest that the hub knows of it."""

    size: int | None
    oid: str | None
    sha256: str | None

    def holds(self, file: ExportedFile) -> bool:
        """Whether it has the content of a file on this machine."""
        if self.sha256 is not None:
            return self.sha256 == file.sha256
        return self.size == file.size and self.oid == file.git_oid()


@dataclass(frozen=True)
class Repository:
    """A repository: its commit, None if it does not exist; whether it is private; its files; and those of them that an earlier
    push put there, by its record."""

    name: str
    commit: str | None = None
    private: bool | None = None
    files: dict[str, RemoteFile] = field(default_factory=dict)
    pushed: frozenset[str] = frozenset()


def read_repository(api: HfApi, name: str, cache: Path) -> Repository:
    """The state of a repository; `cache` is a folder for its record. Raises UsageError, NetworkError."""
    from huggingface_hub.errors import RepositoryNotFoundError

    with hub_errors(name):
        try:
            info = api.model_info(name, files_metadata=True)
        except RepositoryNotFoundError:
            return Repository(name)
        files = {}
        for sibling in info.siblings or ():
            lfs = getattr(sibling.lfs, "sha256", None)
            files[sibling.rfilename] = RemoteFile(sibling.size, sibling.blob_id, lfs)
        pushed: set[str] = set()
        for record in {RECORD, EXPORT_RECORD} & set(files):
            path = Path(api.hf_hub_download(name, record, revision=info.sha, local_dir=cache))
            pushed |= {record, *_listed(path)} & set(files)
    return Repository(name, info.sha, info.private, files, frozenset(pushed))


def _listed(path: Path) -> set[str]:
    """The files that a record lists; none if it is damaged."""
    try:
        return set(json.loads(path.read_bytes())["files"])
    except (ValueError, KeyError, TypeError):
        return set()
