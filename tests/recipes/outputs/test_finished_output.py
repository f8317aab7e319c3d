"""The record of a finished output: if it is damaged, `--resume` reports in one line that the file is unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtlkit.config.paths import cache_folder
from mtlkit.errors import UsageError
from mtlkit.recipes.outputs.finished_output import TextsDigest, check_finished, note_finished

SETTINGS = {"model": "0123", "dim": "4"}
TEXTS = ["a cat", "a saw"]


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "out.npy"
    path.write_bytes(b"vectors")
    digest = TextsDigest()
    digest.add(TEXTS)
    note_finished(path, SETTINGS, digest)
    return path


def test_a_finished_output_is_known(output: Path) -> None:
    assert check_finished(output, SETTINGS, TEXTS) == len(TEXTS)
    with pytest.raises(UsageError, match="other texts"):
        check_finished(output, SETTINGS, TEXTS[:1])
    with pytest.raises(UsageError, match="dim 4, not 8"):
        check_finished(output, SETTINGS | {"dim": "8"}, TEXTS)


@pytest.mark.parametrize("left_out", ["made_by", "texts", "file"])
def test_a_note_that_lacks_something_is_no_note(output: Path, left_out: str) -> None:  # fault 43
    (path,) = (cache_folder() / "outputs").iterdir()
    note = json.loads(path.read_text())
    del note[left_out]
    path.write_text(json.dumps(note))
    with pytest.raises(UsageError, match="not an unfinished output"):
        check_finished(output, SETTINGS, TEXTS)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, "\0", '{"made_by": 5, "texts": "", "file": {}}'])
def test_a_damaged_note_is_no_note(output: Path, content: str) -> None:  # fault 43
    (path,) = (cache_folder() / "outputs").iterdir()
    path.write_text(content)
    with pytest.raises(UsageError, match="not an unfinished output"):
        check_finished(output, SETTINGS, TEXTS)
