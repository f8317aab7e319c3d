"""How the data of a task was read: every choice that was made, by the user or for them. Kept in a run's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mtlkit.config.architecture import Kind
from mtlkit.config.from_json import build


@dataclass(frozen=True)
class SourceRecord:
    """The choices with which one source was read.

    `files` gives the names of the files of each split. `delimiter`, `quoting` and `header` are None for formats that have none.
    `text` and `label` are columns, `first` and `second` those of a pair, `unused` those left out. `sep`, `names`, `strip` and
    `fold` say how labels are read, as the keys of a source do. Columns, kind and labels of other files of the same task are
    read alike by `eval`, `predict` and `embed`. `remarks` say what of the choices may not be what is meant.
    """

    source: str
    files: dict[str, tuple[str, ...]] = field(default_factory=dict)
    format: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    quoting: bool | None = None
    header: bool | None = None
    text: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    first: str | None = None
    second: str | None = None
    unused: tuple[str, ...] = ()
    kind: Kind | None = None
    sep: str | None = None
    names: tuple[str, ...] = ()
    strip: bool = False
    fold: bool = False
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The choices that differ from the defaults, and the source."""
        default = asdict(SourceRecord(""))
        return {name: value for name, value in asdict(self).items() if name == "source" or value != default[name]}

    @classmethod
    def from_json(cls, value: Any) -> SourceRecord:
        """Raises ValueError naming the field that is wrong."""
        return build(cls, value)


def records_to_json(records: Mapping[str, SourceRecord]) -> dict[str, Any]:
    return {name: record.to_json() for name, record in records.items()}


def records_from_json(value: Any) -> dict[str, SourceRecord]:
    """Records by the name of their task. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} where an object belongs")
    return {name: SourceRecord.from_json(one) for name, one in value.items()}
