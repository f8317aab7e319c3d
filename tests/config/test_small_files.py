"""Files of settings are read only where they are regular files of a sensible size."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from mtlkit.config.small_files import Unreadable, check_file, read_file, read_text


def reason(path: Path, read: Callable[[Path], object] = read_file) -> str:
    with pytest.raises(Unreadable) as caught:
        read(path)
    assert caught.value.strerror == str(caught.value)
    return str(caught.value)


def test_a_regular_file_is_read_by_any_name(tmp_path: Path) -> None:
    path, link = tmp_path / "a.json", tmp_path / "link.json"
    path.write_text("{} ü")
    link.symlink_to(path)
    assert read_file(link) == path.read_bytes()
    assert read_text(link) == "{} ü"
    assert check_file(link) == 5


def test_what_is_no_file_is_named_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("gone")
    (tmp_path / "round").symlink_to("round")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for read in (read_file, check_file):
            assert reason(tmp_path / "pipe", read) == "a named pipe, not a file"
            assert reason(tmp_path, read) == "a folder, not a file"
            assert reason(tmp_path / "socket", read) == "a socket, not a file"
            assert reason(Path("/dev/zero"), read) == "a device, not a file"
            assert reason(tmp_path / "broken", read) == "a broken link to gone"
            assert reason(tmp_path / "none", read) == "missing"
            assert "symbolic links" in reason(tmp_path / "round", read)
            assert reason(tmp_path / "a\0b", read) == "not a valid file name"
            assert "too long" in reason(tmp_path / ("x" * 5000), read)


def test_a_file_beyond_the_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # sparse: it takes no room
    assert reason(path) == "too large: 1,048,576 MB; the limit for such files is 64 MB"
    assert check_file(path) == 2**40


def test_a_file_that_claims_to_be_empty_is_read_up_to_the_limit() -> None:
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("this system has no /proc")
    assert path.stat().st_size == 0
    assert b"Name:" in read_file(path)
    assert "more than" in reason(path, lambda path: read_file(path, limit=10))


def test_file_without_read_permission_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "closed.json"
    path.write_text("{}")
    path.chmod(0)
    code = f"""
import os, pathlib
from mtlkit.config.small_files import read_file
if os.geteuid() == 0:
    os.setuid(65534)
try:
    read_file(pathlib.Path({str(path)!r}))
except OSError as error:
    print(error)
"""
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "not readable (permission denied)"


def test_a_short_file_takes_no_more_memory_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * 3_000_000)
    tracemalloc.start()
    try:
        assert read_file(path, 1 << 30) == b"x" * 3_000_000
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()
