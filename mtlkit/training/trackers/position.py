"""Reads the log of a training as it grows, and keeps how far a tracker has come, so that a resumed one logs nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import build, parse_json, parse_object
from mtlkit.runs import atomic as disk


@dataclass(frozen=True)
class Position:
    """How far a tracker has come: complete lines of the log, and the last step in them."""

    lines: int = 0
    step: int = 0

    @classmethod
    def read(cls, path: Path) -> Position | None:
        """The saved position; None if there is none, or it is damaged."""
        with suppress(OSError, ValueError):
            return build(cls, parse_json(path.read_bytes()))
        return None

    def save(self, path: Path) -> None:
        temporary = path.with_name(f"{path.name}.new")
        disk.write(temporary, json.dumps(asdict(self)).encode())
        disk.rename(temporary, path)


class LogReader:
    """The records of a log after its first `skip` lines. The log is opened for each read only, as an open file could not be
    replaced on Windows. Lines beyond `known` are skipped, too, if they are in it: a training that resumed writes them again."""

    def __init__(self, path: Path, skip: int, known: Position) -> None:
        self.path, self.skip, self.known = path, skip, known
        self.offset, self.lines = 0, 0

    def read(self, most: int) -> list[tuple[Position, dict[str, Any]]]:
        """Up to `most` new records, each with the position after it. Empty if there is none yet."""
        records: list[tuple[Position, dict[str, Any]]] = []
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                for line in self._complete(iter(file.readline, b"")):
                    record = parse_object(line)
                    step = int(record.get("step", 0))
                    again = self.lines <= self.known.lines and step <= self.known.step
                    if self.lines > self.skip and not again:
                        records.append((Position(self.lines, step), record))
                    if len(records) == most:
                        break
        except (OSError, ValueError):  # not there for a moment, while the finished run takes its place; or cut and written again
            return records
        return records

    def _complete(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Counts lines that are written to their end."""
        for line in lines:
            if not line.endswith(b"\n"):
                return
            self.offset += len(line)
            self.lines += 1
            yield line
