"""A file is written beside its place, synced, and then takes the place in one step."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from faults import failing_at, watch
from scenes import make_run, save

from mtlkit import disk
from mtlkit.runs import amend, verify
from mtlkit.states import StateFolder


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


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """No renameat2; folders cannot be opened, files are synced only when opened to be written, and a rename
    takes no name that is in use."""
    opened, fsync, rename = os.open, os.fsync, Path.rename
    flags: dict[int, int] = {}

    def open_file(path: Path, how: int, *rest: int, **more: int) -> int:
        if Path(path).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        descriptor = opened(path, how, *rest, **more)
        flags[descriptor] = how
        return descriptor

    def sync_file(descriptor: int) -> None:
        if not flags.get(descriptor, os.O_RDWR) & os.O_RDWR:
            raise OSError(9, "Bad file descriptor")
        fsync(descriptor)

    def rename_file(path: Path, target: Path) -> Path:
        if target.exists():
            raise FileExistsError(17, "File exists", str(target))
        return rename(path, target)

    def no_library(*_: object, **__: object) -> None:
        raise TypeError("bad argument type for built-in operation")  # of CDLL(None)

    monkeypatch.setattr(disk, "WINDOWS", True)
    monkeypatch.setattr(shutil, "_use_fd_functions", False)  # it removes folders by opening them
    monkeypatch.setattr(os, "open", open_file)
    monkeypatch.setattr(os, "fsync", sync_file)
    monkeypatch.setattr(Path, "rename", rename_file)
    monkeypatch.setattr("ctypes.CDLL", no_library)


@pytest.mark.usefixtures("windows")
def test_a_training_is_saved_finished_and_replaced_on_windows(tmp_path: Path) -> None:  # fault 56
    out = tmp_path / "run"
    save(out, 10, 20)
    save(out, 20, note="again")
    state, warnings = StateFolder(out).newest()
    assert state is not None
    assert (state.step, state.plain["note"], warnings) == (20, "again", [])
    make_run(out, "old")
    make_run(out, "new", before_the_end=lambda _: (out / "notes.txt").touch())
    verify(out)
    assert (out / "model.safetensors").read_text() == "new"
    assert (out / "notes.txt").exists()
    amend(out, {"score": 1.0})
    assert verify(out).metrics == {"score": 1.0}
    assert list(tmp_path.iterdir()) == [out]


def test_no_module_needs_what_windows_lacks() -> None:  # fault 56
    code = """if True:
        import os, signal, sys
        sys.modules["fcntl"] = sys.modules["resource"] = sys.modules["pwd"] = None
        import filelock
        for name in ("SIGHUP", "SIGXFSZ"):
            delattr(signal, name)
        import mtlkit.cli.app, mtlkit.outputs, mtlkit.staging, mtlkit.states, mtlkit.training.resume
        mtlkit.cli.app.heed_signals()
        with mtlkit.training.resume.Interrupts():
            pass
    """
    before = {**os.environ, "PYTHONWARNINGS": "ignore"}  # filelock says that it falls back to a lock of its own
    subprocess.run([sys.executable, "-c", code], check=True, env=before, timeout=120)
