"""The record of an output in parts: its parts with their rows and digests, what it was made from, and what is still missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mtlkit.config.from_json import build, parse_object
from mtlkit.errors import IntegrityError

VERSION = 1
MANIFEST, WORK = "_manifest.json", "_parts"  # readers of folders, such as Spark and pyarrow, skip names that begin with _
DIGITS, INPUT_DIGITS = 10, 5
INPUT = "input"  # how settings of inputs begin
INPUT_SETTING = re.compile(rf"{INPUT} \d+")
PART_NAME = re.compile(rf"\d{{{INPUT_DIGITS},}}-[\w-]+-\d{{{DIGITS},}}-\d{{{DIGITS},}}\.(parquet|jsonl|csv|npy|safetensors)")


@dataclass(frozen=True)
class PartRecord:
    """A finished part: its file, and its rows in the input: `rows` of them from number `first`, from 0. `texts` is a digest of
    what the rows were made from."""

    file: str
    input: int
    first: int
    rows: int
    bytes: int
    sha256: str
    texts: str


@dataclass(frozen=True)
class InputRecord:
    """An input file: the number of its bytes, None if it is not known, and of its rows."""

    name: str
    bytes: int | None
    rows: int


@dataclass(frozen=True)
class Manifest:
    """A complete output in parts, in the order of its rows. `columns` are the names of its columns; `settings` are what the rows
    depend on besides the inputs."""

    version: int
    rows: int
    columns: tuple[str, ...]
    settings: dict[str, str]
    inputs: tuple[InputRecord, ...]
    parts: tuple[PartRecord, ...]

    def to_bytes(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n").encode()


def read_manifest(content: bytes, location: str) -> Manifest:
    """Raises IntegrityError for a damaged manifest, or one of another version."""
    try:
        manifest = build(Manifest, parse_object(content))
    except (ValueError, TypeError) as error:
        raise IntegrityError(f"{location} is damaged ({error}); write the output again with --overwrite") from None
    if manifest.version != VERSION:
        raise IntegrityError(f"{location} was written by another version of mtlkit; read it with that")
    return manifest


def part_name(input: int, stem: str, first: int, rows: int, suffix: str) -> str:
    """The file of a part; names sort in the order of the rows."""
    return f"{input:0{INPUT_DIGITS}}-{stem}-{first:0{DIGITS}}-{first + rows:0{DIGITS}}{suffix}"


def record_name(input: int, first: int, rows: int) -> str:
    """The file of a part's record while an output is made: from its name alone it follows which rows are done."""
    return f"{WORK}/{input:0{INPUT_DIGITS}}-{first:0{DIGITS}}-{first + rows:0{DIGITS}}.json"


def count_name(input: int, rows: int) -> str:
    """The file that says how many rows an input has."""
    return f"{WORK}/{input:0{INPUT_DIGITS}}-rows-{rows:0{DIGITS}}.json"


RECORD_NAME = re.compile(rf"(\d{{{INPUT_DIGITS},}})-(\d{{{DIGITS},}}|rows)-(\d{{{DIGITS},}})\.json")


@dataclass(frozen=True)
class Done:
    """What is done of an output: for each input the rows that have parts, as first row -> end, and how many rows it has."""

    parts: dict[int, dict[int, int]]
    counts: dict[int, int]

    @property
    def rows(self) -> int:
        return sum(end - first for ranges in self.parts.values() for first, end in ranges.items())


def done_from(names: Iterable[str]) -> Done:
    """What the names of records say is done."""
    done = Done({}, {})
    for name in names:
        if match := RECORD_NAME.fullmatch(name):
            number, end = int(match[1]), int(match[3])
            if match[2] == "rows":
                done.counts[number] = end
            else:
                done.parts.setdefault(number, {})[int(match[2])] = end
    return done


def missing_rows(done: Done, inputs: Sequence[str]) -> Iterator[str]:
    """The ranges of rows that have no part, for messages; rows are counted from 1."""
    for number, name in enumerate(inputs):
        start = 0
        for first, end in sorted(done.parts.get(number, {}).items()):
            if first > start:
                yield f"rows {start + 1:,} to {first:,} of {name}"
            start = max(start, end)
        count = done.counts.get(number)
        if count is None:
            yield f"rows from {start + 1:,} of {name}" if start else f"all rows of {name}"
        elif start < count:
            yield f"rows {start + 1:,} to {count:,} of {name}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The settings that differ, with both values."""
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            yield name, before.get(name), now.get(name)


def with_inputs(settings: Mapping[str, str], inputs: Sequence[tuple[str, int | None]]) -> dict[str, str]:
    """The settings with the names and sizes of the inputs, for `settings.json`."""
    files = {f"{INPUT} {number}": f"{name} ({size} bytes)" for number, (name, size) in enumerate(inputs, 1)}
    return {**settings, **files}


def input_names(settings: Mapping[str, Any]) -> list[str]:
    """The names of the inputs in `settings.json`, in their order."""
    described = [str(value) for name, value in settings.items() if INPUT_SETTING.fullmatch(name)]
    return [text.rpartition(" (")[0] for text in described]
