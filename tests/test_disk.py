"""A file is written beside its place, synced, and then takes the place in one step."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from faults import failing_at, watch

from mtlkit import disk


def write(path: Path, content: bytes) -> None:
    with disk.atomic_file(path) as file:
        file.write(content)


def test_an_atomic_file_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = watch(monkeypatch, lambda *_: None)
    write(tmp_path / "file", b"new")
    assert done == ["sync", "rename", "sync"]
    assert (tmp_path / "file").read_bytes() == b"new"


def test_an_atomic_file_has_the_mode_that_the_umask_allows(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write(tmp_path / "file", b"new")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("number", [1, 2])
def test_a_failing_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    (tmp_path / "file").write_bytes(b"old")
    watch(monkeypatch, failing_at(number, errno.EIO))
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError), disk.atomic_file(tmp_path / "file") as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
