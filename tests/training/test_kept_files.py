"""Files of rows: sound ones are used, others made anew, and a place that cannot take them is named."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlkit.errors import UsageError
from mtlkit.inference.engine import Array
from mtlkit.training.kept_files import BESIDE, LEFT_BEHIND, OnDisk, kept_file

ROWS = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
CPU = torch.device("cpu")


def parts() -> Iterator[Array]:
    yield from np.array_split(ROWS, 3)


def never() -> Iterator[Array]:
    raise AssertionError("made anew, though it is there")


def make(place: Path) -> Path:
    path, there = kept_file(place, "key", ROWS.shape, parts)
    assert not there
    return path


def test_a_file_is_made_once_and_then_found(tmp_path: Path) -> None:
    place = tmp_path / "runs" / ".cache"
    path = make(place)
    assert [one.name for one in place.iterdir()] == [path.name]
    np.testing.assert_array_equal(np.load(path), ROWS)
    assert kept_file(place, "key", ROWS.shape, never) == (path, True)
    assert kept_file(place, "other", ROWS.shape, parts)[0] != path


@pytest.mark.parametrize(
    "rows", [[3], [0, 1, 2], [499], [7, 3, 3, 4, 5, 9, 8], list(range(500)), [0, 499, 0]], ids=lambda rows: str(rows)[:12]
)
def test_rows_come_in_the_order_asked_for(rows: list[int], tmp_path: Path) -> None:
    taken = OnDisk(make(tmp_path), CPU).take(np.array(rows))
    assert torch.equal(taken, torch.from_numpy(ROWS[rows]))
    taken += 1  # a copy of one's own: the file is not touched
    np.testing.assert_array_equal(OnDisk(make_found(tmp_path), CPU).rows, ROWS)


def make_found(place: Path) -> Path:
    path, there = kept_file(place, "key", ROWS.shape, never)
    assert there
    return path


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut in the header": lambda data: data[:60],
    "cut at half": lambda data: data[: len(data) // 2],
    "last byte gone": lambda data: data[:-1],
    "first bit of the rows": flip(128),
    "last bit": flip(-1 + 128 + ROWS.nbytes),
    "a bit of the version": flip(6),
    "shape": lambda data: data.replace(b"(500, 8)", b"(400, 8)"),
    "order": lambda data: data.replace(b"'fortran_order': False", b"'fortran_order': True "),
    "type": lambda data: data.replace(b"<f4", b"<i4"),
    "something else": lambda _: b"<html>" * 200,
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_anew(damage: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    before = path.read_bytes()
    path.write_bytes(DAMAGE[damage](before))
    assert path.read_bytes() != before
    assert make(tmp_path) == path
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_whole_file_under_the_name_of_another_is_not_believed(tmp_path: Path) -> None:
    path = make(tmp_path)
    path.rename(tmp_path / "key-00000000.npy")
    assert make(tmp_path) == path
    assert len(list(tmp_path.iterdir())) == 1


def test_what_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    def stops() -> Iterator[Array]:
        yield ROWS[:100]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_file(tmp_path, "key", ROWS.shape, stops)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_training_left_is_removed_and_what_another_writes_now_is_not(tmp_path: Path) -> None:
    for name in ("old", "new"):
        folder = tmp_path / f"{BESIDE}{name}"
        folder.mkdir()
        (folder / "rows.npy").write_bytes(b"half")
    before = time.time() - LEFT_BEHIND - 60
    for path in (tmp_path / f"{BESIDE}old" / "rows.npy", tmp_path / f"{BESIDE}old"):
        os.utime(path, (before, before))
    path = make(tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {path.name, f"{BESIDE}new"}


def test_a_place_that_is_a_file_is_named(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.write_text("mine")
    with pytest.raises(UsageError, match=r"cache cannot take the 0\.0 MB .* \(.*\); make room there, .*--cache-memory, .*--out"):
        make(place)
    assert place.read_text() == "mine"


def test_too_little_room_is_known_before_anything_is_worked_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot take the 400,000,000,000\.0 MB .*not enough room on the disk"):
        kept_file(tmp_path, "key", (10**14, 1000), never)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_disk_that_fills_up_is_named_and_no_half_file_stays(tmp_path: Path) -> None:  # fault 5
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROWS.nbytes // 2, limits[1]))  # Python ignores the signal
    try:
        with pytest.raises(UsageError, match=r"cannot take the 0\.0 MB .*\(File too large\)"):
            make(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())
    make(tmp_path)
