"""Work on many texts kept part by part on disk, so that it can go on after any end.

`.NAME.parts/` beside the file that the parts become holds `state.json`, what they were made by, and a safetensors file a part:
its vectors and its texts. A part is written beside, synced and renamed, so it is whole or not there.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from mtlkit.data.vectors import Vectors, vector_file
from mtlkit.errors import DataError, UsageError

STATE = "state.json"


class Parts:
    """The parts of one output file. `made_by` is all that must be equal for parts of two attempts to make one file."""

    def __init__(self, output: Path, made_by: dict[str, str]) -> None:
        self.output = output
        self.folder = output.with_name(f".{output.name}.parts")
        self.made_by = made_by

    def open(self, resume: bool, overwrite: bool) -> None:
        """Begins, or goes on with what an earlier attempt left. Raises UsageError where the user has to choose, DataError."""
        try:
            if overwrite or not self.any():  # no part, no work that could be lost
                self.remove()
                self.folder.mkdir()
                self._write(self.folder / STATE, json.dumps(self.made_by, indent=2).encode())
            elif not resume:
                way = "go on with --resume, or start again with --overwrite"
                raise UsageError(f"{self.folder} holds what an earlier run of this output had done; {way}")
            else:
                self._check()
        except OSError as error:
            raise DataError(f"{self.folder}: {error.strerror or error}") from None

    def _check(self) -> None:
        try:
            before: dict[str, str] = dict(json.loads((self.folder / STATE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise UsageError(f"{self.folder / STATE}: damaged; start again with --overwrite") from None
        for name in {**before, **self.made_by}:
            if (old := before.get(name)) != (new := self.made_by.get(name)):
                way = "use that again, or start again with --overwrite"
                raise UsageError(f"--resume: {self.output} was begun with {name} {old}, and now it is {new}; {way}")

    def any(self) -> bool:
        """Whether any part is there."""
        return self.folder.is_dir() and any(self.folder.glob("*.safetensors"))

    def holds(self, number: int, texts: Sequence[str]) -> bool:
        """Whether a part is done. Raises UsageError if it is, of other texts."""
        path = self._path(number)
        if not path.is_file():
            return False
        try:
            with safe_open(path, "np") as file:
                stored = {name: file.get_tensor(name) for name in ("texts", "ends")}
        except (OSError, SafetensorError):  # cut short: done again
            return False
        if any(not np.array_equal(stored[name], value) for name, value in _packed(texts).items()):
            way = "give the same input again, or start again with --overwrite"
            raise UsageError(f"--resume: the texts of part {number + 1} are not those that {self.output} was begun with; {way}")
        return True

    def write(self, number: int, texts: Sequence[str], vectors: Vectors) -> None:
        """Keeps a part. Raises DataError where the disk does not take it."""
        path = self._path(number)
        try:
            self._write(path, save({"vectors": vectors, **_packed(texts)}))
        except OSError as error:
            raise DataError(f"{path}: {error.strerror or error}") from None

    def assemble(self, count: int, dim: int) -> Iterator[int]:
        """Makes the output of the first `count` parts, one at a time, yielding how many texts each has; then removes them."""
        with vector_file(self.output, dim, self.folder) as writer:
            for number in range(count):
                part = load_file(self._path(number))
                writer.add(_unpacked(part["texts"], part["ends"]), part["vectors"])
                yield len(part["ends"])
        self.remove()

    def remove(self) -> None:
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.safetensors"

    def _write(self, path: Path, data: bytes) -> None:
        beside = path.with_suffix(".unfinished")
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _packed(texts: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Texts as the bytes of all, and where each ends."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(text) for text in encoded], dtype=np.int64)
    return {"texts": np.frombuffer(b"".join(encoded), np.uint8), "ends": ends}


def _unpacked(letters: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[str]:
    data, borders = letters.tobytes(), ends.tolist()
    return [data[start:end].decode("utf-8", "surrogatepass") for start, end in zip([0, *borders[:-1]], borders, strict=True)]
