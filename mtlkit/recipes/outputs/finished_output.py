"""Records what a finished output of `embed` was made from, so that `--resume` can tell whether it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import parse_object
from mtlkit.config.paths import cache_folder
from mtlkit.config.small_files import read_file
from mtlkit.errors import UsageError
from mtlkit.runs import atomic as disk

ADVICE = "replace it with --overwrite, or choose another file"


class TextsDigest:
    """SHA-256 of a sequence of texts and their lengths; `count` is the number of texts."""

    def __init__(self) -> None:
        self._digest, self.count = hashlib.sha256(), 0

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            data = text.encode("utf-8", "surrogatepass")
            self._digest.update(len(data).to_bytes(8, "little") + data)
            self.count += 1

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def note_finished(output: Path, made_by: Mapping[str, str], texts: TextsDigest) -> None:
    """Records what a file was made from. If that fails, `--resume` will not recognize the file."""
    note = {"made_by": dict(made_by), "texts": texts.hexdigest(), "count": texts.count, "file": _state(output)}
    with suppress(OSError):
        path = _path(output)
        path.parent.mkdir(parents=True, exist_ok=True)
        with disk.atomic_file(path) as file:
            file.write(json.dumps(note).encode())


def check_finished(output: Path, made_by: Mapping[str, str], texts: Iterable[str]) -> int:
    """The number of texts in a finished file. Raises UsageError if it has changed or was made from other texts or settings."""
    try:
        note = parse_object(read_file(_path(output)))
        before, state, texts_before = dict(note["made_by"]), note["file"], note["texts"]
    except (OSError, ValueError, KeyError, TypeError):  # missing or damaged record
        before, state, texts_before = {}, None, ""
    if not state or state != _state(output):
        raise UsageError(f"--resume: {output} is not an unfinished output of embed; {ADVICE}")
    for name in {**before, **made_by}:
        if (old := before.get(name)) != (new := made_by.get(name)):
            raise UsageError(f"--resume: {output} is finished, with {name} {old}, not {new}; {ADVICE}")
    digest = TextsDigest()
    digest.add(texts)
    if digest.hexdigest() != texts_before:
        raise UsageError(f"--resume: {output} is finished, with other texts; {ADVICE}")
    return digest.count


def _path(output: Path) -> Path:
    name = hashlib.sha256(str(output.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder() / "outputs" / f"{name[:32]}.json"


def _state(output: Path) -> dict[str, Any]:
    status = output.stat()
    return {"size": status.st_size, "changed": status.st_mtime_ns}
