"""Files of rows: intact ones are used, damaged ones are computed again, and a folder that cannot hold them is named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlkit.errors import UsageError
from mtlkit.inference.engines.base import Array
from mtlkit.runs.store import FEATURES, StoreEntry, entry_in
from mtlkit.training.freezing.cache import stored_rows
from mtlkit.training.freezing.features import DiskStore

ROWS = np.random.default_rng(0).standard_normal((500, 8)).astype(np.float32)
CPU = torch.device("cpu")


def parts() -> Iterator[Array]:
    yield from np.array_split(ROWS, 3)


def not_computed() -> Iterator[Array]:
    yield from map(pytest.fail, ["computed again"])


def entry(folder: Path, key: str = "key") -> StoreEntry:
    return entry_in(folder / FEATURES, FEATURES, key)


def make(folder: Path) -> Path:
    stored = stored_rows(entry(folder), ROWS.shape, parts)
    assert not stored.reused
    np.testing.assert_array_equal(stored.arrays["rows"], ROWS)
    return entry(folder).path


def reused(folder: Path) -> DiskStore:
    stored = stored_rows(entry(folder), ROWS.shape, not_computed)
    assert stored.reused
    return DiskStore(stored.arrays["rows"], CPU)


def test_a_file_is_made_once_and_then_found(tmp_path: Path) -> None:
    place = tmp_path / "runs" / ".cache"
    path = make(place)
    assert list(place.rglob("*.*")) == [path]
    np.testing.assert_array_equal(reused(place).vectors, ROWS)
    assert not stored_rows(entry(place, "other"), ROWS.shape, parts).reused


@pytest.mark.parametrize(
    "rows", [[3], [0, 1, 2], [499], [7, 3, 3, 4, 5, 9, 8], list(range(500)), [0, 499, 0]], ids=lambda rows: str(rows)[:12]
)
def test_rows_come_in_the_order_asked_for(rows: list[int], tmp_path: Path) -> None:
    make(tmp_path)
    taken = reused(tmp_path).take(np.array(rows))
    assert torch.equal(taken, torch.from_numpy(ROWS[rows]))
    taken += 1  # a copy of one's own: the file is not touched
    np.testing.assert_array_equal(reused(tmp_path).vectors, ROWS)


@pytest.mark.parametrize("damage", ["first bit", "last bit", "cut", "empty", "NaN", "zeros"])
def test_damaged_file_is_named_and_computed_again(damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = make(tmp_path)
    good = path.read_bytes()
    at = len(good) - ROWS.nbytes
    path.write_bytes(
        {
            "first bit": good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :],
            "last bit": good[:-1] + bytes([good[-1] ^ 128]),
            "cut": good[: len(good) // 2],
            "empty": b"",
            "NaN": good[:at] + np.full_like(ROWS, np.nan).tobytes(),
            "zeros": good[:at] + bytes(ROWS.nbytes),
        }[damage]
    )
    assert make(tmp_path) == path
    assert path.read_bytes() == good
    (warning,) = caplog.messages
    assert warning.startswith(f"{path} ")
    reused(tmp_path)


@pytest.mark.parametrize("rows", [ROWS[:400], ROWS.T, ROWS.astype(np.float16)], ids=["fewer", "turned", "half"])
def test_rows_of_another_shape_or_type_are_not_used(rows: Array, tmp_path: Path) -> None:
    entry(tmp_path).write({"rows": rows})
    make(tmp_path)


def test_a_file_of_another_key_under_the_same_name_is_not_used(tmp_path: Path) -> None:
    path = make(tmp_path)
    other = entry(tmp_path, "other")
    stored_rows(other, ROWS.shape, lambda: [np.zeros_like(ROWS)])
    other.path.replace(path)
    assert make(tmp_path) == path


def test_a_file_of_an_earlier_version_is_left_alone(tmp_path: Path) -> None:
    np.save(tmp_path / f"key-{0:08x}.npy", np.zeros_like(ROWS))
    make(tmp_path)


def test_what_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    def stops() -> Iterator[Array]:
        yield ROWS[:100]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored_rows(entry(tmp_path), ROWS.shape, stops)
    assert not list(tmp_path.rglob("*.*"))


def test_a_place_that_is_a_file_is_named(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    place.write_text("mine")
    with pytest.raises(UsageError, match=r"cannot write 0\.0 MB .* to .*cache.*: .*; free some space, .*--cache-memory, .*--out"):
        make(place)
    assert place.read_text() == "mine"


def test_too_little_room_is_known_before_anything_is_worked_out(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write 400,000,000,000\.0 MB .*No space left on device"):
        stored_rows(entry(tmp_path), (10**14, 1000), not_computed)
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_a_disk_that_fills_up_is_named_and_no_half_file_stays(tmp_path: Path) -> None:  # fault 5
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROWS.nbytes // 2, limits[1]))  # Python ignores the signal
    try:
        with pytest.raises(UsageError, match=r"cannot write 0\.0 MB .*File too large"):
            make(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.rglob("*.*"))
    make(tmp_path)
