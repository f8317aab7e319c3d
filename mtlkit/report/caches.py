"""The caches on disk, as data and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from mtlkit.report.tables import megabytes, new_table, titled
from mtlkit.report.text import literal


@dataclass(frozen=True)
class CacheFacts:
    """Number and total bytes of the cache files of one kind in a folder."""

    kind: str
    path: Path
    files: int
    size: int


@dataclass(frozen=True)
class CacheReport:
    """Existing caches, or removed ones if `cleared`; `kept` are the files that could not be removed, with the reason."""

    caches: tuple[CacheFacts, ...]
    cleared: bool = False
    kept: tuple[tuple[Path, str], ...] = ()

    @property
    def size(self) -> int:
        return sum(cache.size for cache in self.caches)

    def to_json(self) -> dict[str, Any]:
        """One document; `bytes` is the size in use, or freed."""
        caches = [
            {"kind": cache.kind, "path": str(cache.path), "files": cache.files, "bytes": cache.size} for cache in self.caches
        ]
        document: dict[str, Any] = {"caches": caches, "bytes": self.size}
        if self.cleared:
            document["kept"] = [{"path": str(path), "reason": reason} for path, reason in self.kept]
        return document


def cache_table(report: CacheReport) -> Group:
    """One row per folder and kind, the total, and the files that were not removed."""
    table = new_table()
    table.add_column("kind", no_wrap=True)
    table.add_column("folder", overflow="fold", min_width=20)
    table.add_column("files", justify="right", no_wrap=True)
    table.add_column("MB freed" if report.cleared else "MB", justify="right", no_wrap=True)
    for cache in report.caches:
        table.add_row(literal(cache.kind), literal(str(cache.path)), f"{cache.files:,}", megabytes(cache.size))
    files = sum(cache.files for cache in report.caches)
    total = f"{files:,} files, {megabytes(report.size)} MB{' freed' if report.cleared else ''}"
    not_removed = [literal(f"not removed: {path}: {reason}", "yellow") for path, reason in report.kept]
    return Group(*([titled("Caches", table)] if report.caches else []), Text(total), *not_removed)
