"""How a task's data was read, with every choice made by the user or by detection. Saved in a run's config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mtlkit.config.architecture import Kind, TagScheme
from mtlkit.config.from_json import build, json_type
from mtlkit.config.registries.task_kinds import KINDS
from mtlkit.errors import listed, shorten


@dataclass(frozen=True)
class SourceRecord:
    """The choices with which one source was read; `eval`, `predict` and `embed` read other files of the task in the same way.

    `files` lists the file names of each split. `delimiter`, `quoting` and `header` are None for formats without them.
    `text` and `label` are columns, `first` and `second` the columns of a pair, `negatives` those of its hard negatives, `tokens`
    and `tags` those of words and their tags, `spans` that of labelled spans of the text, `unused` the remaining columns. `sep`,
    `names`, `order`, `strip` and `fold` are the keys of a source with these names. `scheme` is that of the tags. `remarks` point
    out choices that the user may not want.
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
    negatives: tuple[str, ...] = ()
    tokens: str | None = None
    tags: str | None = None
    spans: str | None = None
    scheme: TagScheme | None = None
    unused: tuple[str, ...] = ()
    kind: Kind | None = None
    sep: str | None = None
    names: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    strip: bool = False
    fold: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that are known independently of the rows; empty if there are none."""
        return self.order or self.names

    def to_json(self) -> dict[str, Any]:
        """The source, and the fields that differ from their defaults."""
        default = asdict(SourceRecord(""))
        return {name: value for name, value in asdict(self).items() if name == "source" or value != default[name]}

    @classmethod
    def from_json(cls, value: Any) -> SourceRecord:
        """Raises ValueError that names the invalid field."""
        record = build(cls, value)
        if record.kind is not None and record.kind not in KINDS:
            raise ValueError(f"field 'kind': expected one of {listed(KINDS)}, not {json.dumps(shorten(record.kind, 40))}")
        return record


def records_to_json(records: Mapping[str, SourceRecord]) -> dict[str, Any]:
    return {name: record.to_json() for name, record in records.items()}


def records_from_json(value: Any) -> dict[str, SourceRecord]:
    """Records by task name. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, not {json_type(value)}")
    return {name: SourceRecord.from_json(record) for name, record in value.items()}
