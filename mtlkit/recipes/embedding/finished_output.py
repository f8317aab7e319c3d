"""What a finished output of `embed` was made from, noted among the caches: so `--resume` knows whether it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import parse_object
from mtlkit.config.small_files import read_file
from mtlkit.errors import UsageError
from mtlkit.runs import atomic as disk
from mtlkit.runs.store import cache_folder

WAY = "replace it with --overwrite, or name another file"


class TextsDigest:
    """SHA-256 over texts and their borders, as they come; `count` is how many there were."""

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
    """Notes what a file was made from. Where that cannot be written, `--resume` will not know the file."""
    note = {"made_by": dict(made_by), "texts": texts.hexdigest(), "count": texts.count, "file": _state(output)}
    with suppress(OSError):
        path = _path(output)
        path.parent.mkdir(parents=True, exist_ok=True)
        with disk.atomic_file(path) as file:
            file.write(json.dumps(note).encode())


def check_finished(output: Path, made_by: Mapping[str, str], texts: Iterable[str]) -> int:
    """How many texts a file holds the vectors of, if it was made from these texts in this way and is unchanged. Raises UsageError
    that says what differs."""
    try:
        note = parse_object(read_file(_path(output)))
        before, state, texts_before = dict(note["made_by"]), note["file"], note["texts"]
    except (OSError, ValueError, KeyError, TypeError):  # no note, or a damaged one
        before, state, texts_before = {}, None, ""
    if not state or state != _state(output):
        raise UsageError(f"--resume: {output} is finished or another file, and it is not known what made it; {WAY}")
    for name in {**before, **made_by}:
        if (old := before.get(name)) != (new := made_by.get(name)):
            raise UsageError(f"--resume: {output} is finished, made with {name} {old} and not {new}; {WAY}")
    digest = TextsDigest()
    digest.add(texts)
    if digest.hexdigest() != texts_before:
        raise UsageError(f"--resume: {output} is finished, made from other texts; {WAY}")
    return digest.count


def _path(output: Path) -> Path:
    name = hashlib.sha256(str(output.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_folder() / "outputs" / f"{name[:32]}.json"


def _state(output: Path) -> dict[str, Any]:
    found = output.stat()
    return {"size": found.st_size, "changed": found.st_mtime_ns}
