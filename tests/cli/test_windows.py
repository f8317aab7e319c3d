"""Commands that save, on an imitation of Windows: what is open there can be neither renamed nor removed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import windows
from killing import TINY

if TYPE_CHECKING:
    from .conftest import Typed

pytestmark = windows.needs_proc


@pytest.fixture(autouse=True)
def imitation(monkeypatch: pytest.MonkeyPatch) -> None:
    windows.imitate(monkeypatch)


def test_imitation_refuses_what_windows_refuses(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    with path.open("w"):
        for change in (path.unlink, lambda: path.rename(tmp_path / "other"), lambda: path.parent.rename(tmp_path / "elsewhere")):
            with pytest.raises(PermissionError):
                change()
    with pytest.raises(PermissionError):
        os.open(tmp_path, os.O_RDONLY)
    path.parent.rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "file").unlink()


def test_runs_are_trained_and_replaced(typed: Typed, data: Path, tmp_path: Path) -> None:  # fault 56
    out = tmp_path / "run"
    training = ("train-mtl", "--task", f"kind={data / 'kind'}", *TINY, "--init", "scratch", "--epochs", 1, "--save-every", 2)
    for more in ((), ("--overwrite",)):
        answer = typed(*training, "--out", out, *more)
        assert answer.code == 0, answer.err
    assert typed("info", out).code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_outputs_are_written_and_replaced(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 56
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"text {number}\n" for number in range(40)))
    for more in ((), ("--overwrite",), ("--resume",)):
        for name in ("vectors.npy", "vectors.parquet", "parts/"):
            answer = typed("embed", "--model", mtl, "--input", texts, "--output", f"{tmp_path}/{name}", *more)
            assert answer.code == 0, answer.err
    for more in ((), ("--overwrite",)):
        answer = typed("export", mtl, tmp_path / "compact", "--format", "compact", *more)
        assert answer.code == 0, answer.err
    assert typed("info", "--clear-caches").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["compact", "parts", "texts.txt", "vectors.npy", "vectors.parquet"]
