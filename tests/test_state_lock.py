"""One writer at a time in the folder of a training."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from scenes import COMMAND, make_run

from mtlkit.errors import UsageError
from mtlkit.runs import verify
from mtlkit.states import StateFolder


def hold(out: Path) -> subprocess.Popen[str]:
    """A process that holds the lock, and holds it now."""
    code = f"""if True:
        import sys
        from pathlib import Path
        from mtlkit.states import StateFolder
        assert "torch" not in sys.modules
        with StateFolder(Path({str(out)!r})).lock("mtlkit train-mtl\\n--epochs 9"):
            print("held", flush=True)
            sys.stdin.read()
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_told_of_the_first_whose_death_frees_the_folder(tmp_path: Path) -> None:  # fault 13
    folder = StateFolder(tmp_path / "run")
    with hold(tmp_path / "run") as first:
        try:
            with pytest.raises(UsageError) as caught, folder.lock(COMMAND):
                pytest.fail("two writers")
            message = str(caught.value)
            assert f"{tmp_path / 'run'} is being written by process {first.pid} on {os.uname().nodename} since 20" in message
            assert "(mtlkit train-mtl --epochs 9); wait for its end, stop it, or name another folder with --out" in message
            assert caught.value.exit_code == 2
            assert (folder.path / "writer.json").exists()  # the first is not disturbed
        finally:
            first.send_signal(signal.SIGKILL)
    assert (folder.path / "lock").exists()  # left by the dead
    with folder.lock(COMMAND):
        pass
    assert list((tmp_path / "run").iterdir()) == []  # the folder was there before


def test_the_same_process_is_kept_out_too(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "run")
    with folder.lock(COMMAND), pytest.raises(UsageError, match="is being written by process"), folder.lock(COMMAND):
        pytest.fail("two writers")


def test_a_lock_that_was_removed_while_it_was_taken_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = StateFolder(tmp_path / "run")
    taken = 0
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        nonlocal taken
        taken += 1
        if taken == 1:  # the writer before ends between our opening the file and our locking it
            shutil.rmtree(tmp_path / "run")
        flock(descriptor, operation)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", late)
        with folder.lock(COMMAND):
            assert taken == 2
            with pytest.raises(UsageError, match="is being written"), folder.lock(COMMAND):
                pytest.fail("two writers")


def test_what_took_the_place_of_the_folder_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = StateFolder(out)
    with folder.lock(COMMAND):
        folder.save(10, {}, {})
        make_run(out)
        with hold(out) as other:  # who extends the finished run
            other_lock = (folder.path / "lock").stat().st_ino
            with pytest.raises(UsageError, match=f"process {other.pid}"), folder.lock(COMMAND):
                pytest.fail("two writers")
            assert (folder.path / "lock").stat().st_ino == other_lock
            other.communicate("")
    verify(out)
    assert not folder.path.exists()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), UsageError("no")])
def test_an_end_before_anything_was_saved_leaves_nothing(end: BaseException, tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "run")

    def train() -> None:
        with folder.lock(COMMAND):
            folder.log.write_text("{}\n")
            raise end

    with pytest.raises(type(end)):
        train()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_locked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unable(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be locked: Not a directory"), StateFolder(tmp_path / "file" / "x").lock(COMMAND):
        pytest.fail("no lock")
    monkeypatch.setattr(fcntl, "flock", unable)
    with pytest.raises(UsageError, match="cannot be locked: No locks available"), StateFolder(tmp_path / "run").lock(COMMAND):
        pytest.fail("no lock")
