"""How the data of a task was read: every choice that was made, by the user or for them. Kept in a run's config.json."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SourceRecord:
    """The choices with which one source was read.

    `files` gives the names of the files of each split. `delimiter`, `quoting` and `header` are None for formats that have none.
    """

    source: str
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None
