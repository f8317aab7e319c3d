"""Saves the rows of an output file in parts, so that an interrupted run can be resumed.

`.NAME.parts/` beside the output holds `state.json` with the settings that the rows depend on, and a file per part with its texts,
their vectors and other values. The key of a part covers the settings and its number.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.from_json import parse_json, parse_object
from mtlkit.config.small_files import read_file
from mtlkit.data.outputs.columns import Layout, OutputRows
from mtlkit.data.outputs.writers import output_file
from mtlkit.errors import DataError, UsageError
from mtlkit.runs import atomic as disk
from mtlkit.runs.store import PART, SUFFIX, Arrays, StoreEntry, cache_key, has_shape

LOG = logging.getLogger(__name__)
FORMAT = "2"  # increment when the stored arrays change
STATE = "state.json"
VALUES = {"texts": "values", "ends": "value_ends"}  # arrays with the values of other columns, as JSON
PART_NAME = re.compile(r"\d{8,}" + re.escape(SUFFIX))


class OutputParts:
    """The parts of one output file. `made_by` holds the settings that must be equal when an earlier run is resumed."""

    def __init__(self, output: Path, made_by: dict[str, str]) -> None:
        self.output = output
        self.folder = output.with_name(f".{output.name}.parts")
        self.made_by = made_by

    def open(self, resume: bool, overwrite: bool) -> None:
        """Starts, or resumes an earlier run. Raises UsageError if parts exist and neither was requested, DataError."""
        try:
            if overwrite or not self.any():  # without parts no work can be lost
                self._begin()
            elif not resume:
                advice = "continue with --resume, or start again with --overwrite"
                raise UsageError(f"{self.folder} contains finished parts of an earlier run; {advice}")
            else:
                self._check()
        except OSError as error:
            raise DataError(f"{self.folder}: {error.strerror or error}") from None

    def _begin(self) -> None:
        self.remove()
        self.folder.mkdir(exist_ok=True)
        self._write_state()

    def _write_state(self) -> None:
        with disk.atomic_file(self.folder / STATE) as file:
            file.write(json.dumps({"format": FORMAT, **self.made_by}, indent=2).encode())

    def _check(self) -> None:
        """Compares the settings. Each part also has a digest of them, so that parts survive a damaged `state.json`."""
        path = self.folder / STATE
        try:
            before = parse_object(read_file(path))
        except (OSError, ValueError) as error:
            LOG.warning("%s is damaged (%s); using only parts with the settings of this run", path, error)
            self._write_state()
            return
        if before.pop("format", None) != FORMAT:
            LOG.warning("%s was written by another version of mtlkit; starting again", self.folder)
            self._begin()
            return
        for name in {**before, **self.made_by}:
            if (old := before.get(name)) != (new := self.made_by.get(name)):
                advice = "use the same setting, or start again with --overwrite"
                raise UsageError(f"--resume: {self.output} was started with {name} {old}, but now it is {new}; {advice}")

    def any(self) -> bool:
        """Whether any part exists."""
        return self.folder.is_dir() and any(PART_NAME.fullmatch(path.name) for path in self.folder.iterdir())

    def holds(self, number: int, texts: Sequence[str]) -> bool:
        """Whether a part is finished and undamaged. Raises UsageError if it has other texts."""
        stored = self._entry(number).read(_is_valid)
        if stored is None:
            return False
        if any(not np.array_equal(stored[name], value) for name, value in _pack(texts).items()):
            advice = "use the same input, or start again with --overwrite"
            raise UsageError(f"--resume: the texts of part {number + 1} of {self.output} differ from the earlier run; {advice}")
        return True

    def write(self, number: int, rows: OutputRows) -> None:
        """Saves a part. Raises SavingError if writing fails, IntegrityError for numbers that are not finite."""
        arrays = _pack(rows.texts)
        if rows.vectors is not None:
            arrays["vectors"] = rows.vectors
        if rows.values is not None:
            lines = [json.dumps(list(values), ensure_ascii=False, default=str) for values in rows.values]
            arrays.update({VALUES[name]: array for name, array in _pack(lines).items()})
        part = self._entry(number)
        with disk.saving(self.output, "free some space and continue with --resume"):
            part.write(arrays)

    def assemble(self, count: int, layout: Layout) -> Iterator[int]:
        """Writes the output from the first `count` parts, yielding the number of rows of each; then removes the parts.

        Raises DataError, also for a part that was damaged after it was written.
        """
        with output_file(self.output, layout, self.folder) as writer:
            for number in range(count):
                entry = self._entry(number)
                part = entry.read(lambda arrays: _is_valid(arrays) and _fits(arrays, layout))
                if part is None:
                    raise DataError(f"{entry.path} was damaged after it was written; compute that part again with --resume")
                writer.add(layout.batch(_rows_of(part)))
                yield len(part["ends"])
        self.remove()

    def remove(self) -> None:
        """Removes the files that this class wrote, and the folder if it is empty then."""
        if not self.folder.is_dir():
            return
        for path in files_of(self.folder):
            path.unlink()
        with suppress(OSError):
            self.folder.rmdir()

    def _entry(self, number: int) -> StoreEntry:
        settings = json.dumps(self.made_by, sort_keys=True)
        return StoreEntry(self.folder / f"{number:08}{SUFFIX}", PART, cache_key(FORMAT, settings, str(number)))


def files_of(folder: Path) -> list[Path]:
    """The files in a folder of parts that this module wrote, including unfinished ones."""
    ours = (
        path for path in folder.iterdir() if path.name == STATE or PART_NAME.fullmatch(path.name) or _is_unfinished(path, folder)
    )
    return [path for path in ours if path.is_file() or path.is_symlink()]


def _is_unfinished(path: Path, folder: Path) -> bool:
    """Whether a file is an unfinished part or output."""
    output = folder.name.removesuffix(".parts")
    return path.suffix == disk.UNFINISHED or path.name.startswith(f"{output}.")


def _is_valid(arrays: Arrays) -> bool:
    ends = arrays.get("ends")
    if ends is None or not has_shape(ends, "<i8", None) or not has_shape(arrays.get("texts"), "|u1", None):
        return False
    if "vectors" in arrays and not has_shape(arrays["vectors"], "<f4", len(ends), None):
        return False
    values = [arrays.get(name) for name in VALUES.values()]
    if all(array is None for array in values):
        return "vectors" in arrays
    return has_shape(values[0], "|u1", None) and has_shape(values[1], "<i8", len(ends))


def _fits(arrays: Arrays, layout: Layout) -> bool:
    """Whether a part has what the output's columns are made of."""
    dim = arrays["vectors"].shape[1] if "vectors" in arrays else None
    return dim == (layout.vector.dim if layout.vector else None) and (VALUES["texts"] in arrays) == bool(layout.others)


def _rows_of(arrays: Arrays) -> OutputRows:
    lines = _unpack(arrays[VALUES["texts"]], arrays[VALUES["ends"]]) if VALUES["texts"] in arrays else None
    values = None if lines is None else [parse_json(line) for line in lines]
    return OutputRows(_unpack(arrays["texts"], arrays["ends"]), arrays.get("vectors"), values)


def _pack(texts: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Texts as one array of bytes, and the index where each ends."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return {"texts": np.frombuffer(b"".join(encoded), np.uint8), "ends": ends}


def _unpack(content: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    data, stops = content.tobytes(), ends.tolist()
    return [data[start:stop].decode("utf-8", "surrogatepass") for start, stop in zip([0, *stops[:-1]], stops, strict=True)]
