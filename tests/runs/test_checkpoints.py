"""Checkpoints: round trips, damage, and the log."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from scenes import COMMAND, make_run, save

from mtlkit.errors import IntegrityError
from mtlkit.runs import checkpoint_files
from mtlkit.runs.checkpoint_files import MANIFEST, TENSORS, VALUES, find_damage, read_manifest
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import file_digest, has_checkpoint, verify

FILES = (TENSORS, VALUES, MANIFEST)


def flip(path: Path, place: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def cut(part: Fraction, less: int = 0) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(part * path.stat().st_size) - less)


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut at 0": cut(Fraction(0)),
    "cut at half": cut(Fraction(1, 2)),
    "cut at the last byte": cut(Fraction(1), 1),
    "a byte more": lengthen,
    "a bit of the first byte": lambda path: flip(path, 0),
    "a bit of the last byte": lambda path: flip(path, -1),
    "missing": Path.unlink,
}


def test_tensors_round_trip(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    tensors = {
        "base": base,
        "same": base,
        "row": base[1],
        "column": base[:, 1],
        "transposed": base.T,
        "parameter": torch.nn.Parameter(base[0]),
        "scalar": torch.tensor(3),
        "nothing": torch.zeros(0, 3),
        "nan": torch.tensor([math.nan, math.inf, -0.0]),
        "generator": torch.get_rng_state(),
        **{str(kind): torch.ones(2, dtype=kind) for kind in (torch.bfloat16, torch.float16, torch.float64, torch.bool)},
    }
    folder = CheckpointManager(tmp_path / "run")
    with folder.lock(COMMAND):
        folder.save(1, tensors, {})
    checkpoint, _ = folder.newest()
    assert checkpoint is not None
    assert checkpoint.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        loaded = checkpoint.tensors[name]
        assert (loaded.dtype, loaded.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(loaded.nan_to_num(7), tensor.nan_to_num(7))
        assert torch.equal(loaded.signbit(), tensor.signbit())


def test_plain_values_round_trip_exactly(tmp_path: Path) -> None:
    plain = {
        "floats": [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, math.inf, -math.inf],
        "big": [2**127 - 1, -(2**200)],
        "text": "naïve \udce9 \x1b[0m 試",
        "none": None,
        "nested": {"": [True, []]},
    }
    folder = CheckpointManager(tmp_path / "run")
    with folder.lock(COMMAND):
        folder.save(1, {}, {**plain, "nan": math.nan})
    checkpoint, _ = folder.newest()
    assert checkpoint is not None
    assert checkpoint.tensors == {}
    assert math.isnan(checkpoint.plain.pop("nan"))
    assert checkpoint.plain == plain
    assert math.copysign(1, checkpoint.plain["floats"][3]) == -1


def test_two_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 999, 10000, 99999999, 100000000)
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "metrics.jsonl",
        "step-100000000",
        "step-99999999",
    ]
    checkpoint, warnings = folder.newest()
    assert checkpoint is not None
    assert (checkpoint.step, checkpoint.plain["seen"], checkpoint.path.name, warnings) == (
        100000000,
        100000000,
        "step-100000000",
        [],
    )


def test_folder_without_checkpoints(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")
    assert folder.newest() == (None, [])
    assert folder.peek() is None
    assert not has_checkpoint(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint_is_renamed_and_the_earlier_one_used(damage: str, name: str, tmp_path: Path) -> None:  # faults 3, 4
    folder = save(tmp_path / "run", 10, 20)
    DAMAGES[damage](folder.path / "step-00000020" / name)
    if name == MANIFEST and damage in ("a byte more", "cut at the last byte"):  # only trailing white space
        assert folder.newest()[1] == []
        return
    checkpoint, warnings = folder.newest()
    assert checkpoint is not None
    assert checkpoint.step == 10
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{folder.path}/step-00000020/{name}: ")
    assert warnings[0].endswith("step-00000020.damaged, resuming from step-00000010")
    assert "\n" not in warnings[0]
    assert (folder.path / "step-00000020.damaged").is_dir()
    assert folder.newest()[1] == []  # warned once
    save(tmp_path / "run", 20)
    assert sorted(path.name for path in folder.path.glob("step-*")) == ["step-00000010", "step-00000020", "step-00000020.damaged"]
    DAMAGES[damage](folder.path / "step-00000020" / name)
    assert "step-00000020.damaged-2" in folder.newest()[1][0]


def test_checkpoint_with_the_name_of_another_step_is_damaged(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    (folder.path / "step-00000020").rename(folder.path / "step-00000030")
    checkpoint, warnings = folder.newest()
    assert checkpoint is not None
    assert checkpoint.step == 10
    assert "step 20" in warnings[0]


def test_any_flipped_bit_is_detected(tmp_path: Path) -> None:  # fault 4
    folder = save(tmp_path / "run", 20)
    place = folder.path / "step-00000020"
    for path in [*(place / name for name in FILES), folder.log]:
        whole = path.read_bytes()
        for number in {*range(0, len(whole), 3), len(whole) - 1}:
            flip(path, number, bit=number % 8)
            damage = find_damage(place, folder.log)
            path.write_bytes(whole)
            assert damage is not None or whole[number:].isspace(), (path.name, number)
    assert find_damage(place, folder.log) is None


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "a byte more"])
def test_checkpoint_with_an_altered_log_is_damaged(damage: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    length = read_manifest(folder.path / "step-00000010")["log"]["size"]
    whole = folder.log.read_bytes()
    DAMAGES[damage](folder.log)
    if folder.log.exists() and folder.log.read_bytes()[:length] == whole[:length]:
        checkpoint, warnings = folder.newest()
        assert checkpoint is not None
        assert checkpoint.step == 10
        assert warnings[0].startswith(f"{folder.log}: ")
    else:
        with pytest.raises(IntegrityError, match=r"metrics\.jsonl: .*--overwrite"):
            folder.newest()


def test_when_all_are_damaged_the_newest_is_named_with_both_digests_and_nothing_is_moved(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    for place in folder.path.glob("step-*"):
        flip(place / TENSORS, -1)
    place = folder.path / "step-00000020"
    digest, recorded = file_digest(place / TENSORS), read_manifest(place)["files"][TENSORS]["sha256"]
    for _ in range(2):
        with pytest.raises(IntegrityError, match="--overwrite") as caught:
            folder.newest()
        assert f"{place / TENSORS}: " in str(caught.value)
        assert digest in str(caught.value)
        assert recorded in str(caught.value)
        assert caught.value.exit_code == 4


def test_newer_checkpoint_format_asks_for_an_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_files, "FORMAT", 2)
        folder = save(tmp_path / "run", 10)
    with pytest.raises(IntegrityError, match=r"newer mtlkit \(format 2\)"):
        folder.newest()


def test_peek_reads_no_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "run", 10, 20)
    flip(folder.path / "step-00000020" / TENSORS, -1)
    assert folder.peek() == {"seen": 20, "note": ""}
    flip(folder.path / "step-00000020" / VALUES, -1)
    assert folder.peek() == {"seen": 10, "note": ""}
    assert (folder.path / "step-00000020").is_dir()  # peeking changes nothing


def test_log_is_truncated_to_its_length_at_a_checkpoint(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    whole = folder.log.read_text()
    with folder.log.open("a") as log:
        log.write('{"step": 21')  # half a line, as a kill leaves it
    checkpoint, warnings = folder.newest()
    assert checkpoint is not None
    assert warnings == []
    folder.cut_log(checkpoint)
    assert folder.log.read_text() == whole
    folder.cut_log(None)
    assert folder.log.read_text() == ""


def test_drop_removes_all_checkpoints_and_partial_ones(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    flip(folder.path / "step-00000020" / TENSORS, 0)
    folder.newest()
    (folder.path / ".step-00000030.abc").mkdir()
    with folder.lock(COMMAND):
        folder.drop()
        assert sorted(path.name for path in folder.path.iterdir()) == ["metrics.jsonl"]
        assert folder.log.read_text() == ""
    assert list((tmp_path / "run").iterdir()) == []  # the folder was there before


def test_checkpoint_can_be_carried_into_the_finished_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = save(out, 10, 20)
    with folder.lock(COMMAND):
        make_run(out, before_the_end=folder.carry)
    assert set(verify(out).files) == {"model.safetensors", "config.json"}
    assert sorted(path.name for path in folder.path.iterdir()) == ["metrics.jsonl", "step-00000020"]
    checkpoint, warnings = folder.newest()
    assert checkpoint is not None
    assert (checkpoint.step, warnings) == (20, [])


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_modes_of_a_checkpoint_follow_the_umask(mask: int, file: int, folder: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        place = save(tmp_path / "run", 10).path / "step-00000010"
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {file}
    assert stat.S_IMODE(place.stat().st_mode) == folder
