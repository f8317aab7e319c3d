"""Saved states: what goes in comes out, damage is seen."""

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
from mtlkit.runs import checkpoint_files as state_files
from mtlkit.runs.checkpoint_files import MANIFEST, PLAIN, TENSORS, fault_of, read_manifest
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import file_digest, holds_state, verify

FILES = (TENSORS, PLAIN, MANIFEST)


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


def test_tensors_of_every_kind_come_back_as_they_were(tmp_path: Path) -> None:
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
    state, _ = folder.newest()
    assert state is not None
    assert state.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        found = state.tensors[name]
        assert (found.dtype, found.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(found.nan_to_num(7), tensor.nan_to_num(7))
        assert torch.equal(found.signbit(), tensor.signbit())


def test_plain_values_come_back_to_the_bit(tmp_path: Path) -> None:
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
    state, _ = folder.newest()
    assert state is not None
    assert state.tensors == {}
    assert math.isnan(state.plain.pop("nan"))
    assert state.plain == plain
    assert math.copysign(1, state.plain["floats"][3]) == -1


def test_the_two_newest_states_are_kept(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 999, 10000, 99999999, 100000000)
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "metrics.jsonl",
        "step-100000000",
        "step-99999999",
    ]
    state, warnings = folder.newest()
    assert state is not None
    assert (state.step, state.plain["seen"], state.place.name, warnings) == (100000000, 100000000, "step-100000000", [])


def test_a_folder_without_states_has_no_newest(tmp_path: Path) -> None:
    folder = CheckpointManager(tmp_path / "run")
    assert folder.newest() == (None, [])
    assert folder.peek() is None
    assert not holds_state(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_set_aside_and_the_one_before_taken(damage: str, name: str, tmp_path: Path) -> None:  # faults 3, 4
    folder = save(tmp_path / "run", 10, 20)
    DAMAGES[damage](folder.path / "step-00000020" / name)
    if name == MANIFEST and damage in ("a byte more", "cut at the last byte"):  # white space at its end, which says nothing
        assert folder.newest()[1] == []
        return
    state, warnings = folder.newest()
    assert state is not None
    assert state.step == 10
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{folder.path}/step-00000020/{name}: ")
    assert warnings[0].endswith("; kept as step-00000020.damaged, going on from step-00000010")
    assert "\n" not in warnings[0]
    assert (folder.path / "step-00000020.damaged").is_dir()
    assert folder.newest()[1] == []  # said once
    save(tmp_path / "run", 20)
    assert sorted(path.name for path in folder.path.glob("step-*")) == ["step-00000010", "step-00000020", "step-00000020.damaged"]
    DAMAGES[damage](folder.path / "step-00000020" / name)
    assert "kept as step-00000020.damaged-2" in folder.newest()[1][0]


def test_a_state_under_the_name_of_another_step_is_damaged(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    (folder.path / "step-00000020").rename(folder.path / "step-00000030")
    state, warnings = folder.newest()
    assert state is not None
    assert state.step == 10
    assert "step-00000030: holds the state of step 20" in warnings[0]


def test_a_bit_flipped_anywhere_is_seen(tmp_path: Path) -> None:  # fault 4
    folder = save(tmp_path / "run", 20)
    place = folder.path / "step-00000020"
    for path in [*(place / name for name in FILES), folder.log]:
        whole = path.read_bytes()
        for number in {*range(0, len(whole), 3), len(whole) - 1}:
            flip(path, number, bit=number % 8)
            fault = fault_of(place, folder.log)
            path.write_bytes(whole)
            assert fault is not None or whole[number:].isspace(), (path.name, number)
    assert fault_of(place, folder.log) is None


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "a byte more"])
def test_a_state_whose_log_was_altered_is_damaged(damage: str, tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    length = read_manifest(folder.path / "step-00000010")["log"]["size"]
    whole = folder.log.read_bytes()
    DAMAGES[damage](folder.log)
    if folder.log.exists() and folder.log.read_bytes()[:length] == whole[:length]:
        state, warnings = folder.newest()
        assert state is not None
        assert state.step == 10
        assert warnings[0].startswith(f"{folder.log}: ")
    else:
        with pytest.raises(IntegrityError, match=r"metrics\.jsonl: .*; no sound state is left"):
            folder.newest()


def test_where_all_states_are_damaged_the_newest_is_named_with_both_digests_and_nothing_is_moved(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    for place in folder.path.glob("step-*"):
        flip(place / TENSORS, -1)
    place = folder.path / "step-00000020"
    found, wanted = file_digest(place / TENSORS), read_manifest(place)["files"][TENSORS]["sha256"]
    for _ in range(2):
        with pytest.raises(IntegrityError, match="start over with --overwrite") as caught:
            folder.newest()
        assert f"{place / TENSORS}: " in str(caught.value)
        assert found in str(caught.value)
        assert wanted in str(caught.value)
        assert caught.value.exit_code == 4


def test_a_state_of_a_newer_format_says_to_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(state_files, "FORMAT", 2)
        folder = save(tmp_path / "run", 10)
    with pytest.raises(IntegrityError, match=r"written by a newer mtlkit \(format 2\); update mtlkit"):
        folder.newest()


def test_peek_reads_no_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save(tmp_path / "run", 10, 20)
    flip(folder.path / "step-00000020" / TENSORS, -1)
    assert folder.peek() == {"seen": 20, "note": ""}
    flip(folder.path / "step-00000020" / PLAIN, -1)
    assert folder.peek() == {"seen": 10, "note": ""}
    assert (folder.path / "step-00000020").is_dir()  # a look changes nothing


def test_the_log_is_cut_to_what_it_was_at_a_state(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    whole = folder.log.read_text()
    with folder.log.open("a") as log:
        log.write('{"step": 21')  # half a line, as a kill leaves it
    state, warnings = folder.newest()
    assert state is not None
    assert warnings == []
    folder.cut_log(state)
    assert folder.log.read_text() == whole
    folder.cut_log(None)
    assert folder.log.read_text() == ""


def test_drop_removes_all_states_and_what_lies_about(tmp_path: Path) -> None:
    folder = save(tmp_path / "run", 10, 20)
    flip(folder.path / "step-00000020" / TENSORS, 0)
    folder.newest()
    (folder.path / ".step-00000030.abc").mkdir()
    with folder.lock(COMMAND):
        folder.drop()
        assert sorted(path.name for path in folder.path.iterdir()) == ["metrics.jsonl"]
        assert folder.log.read_text() == ""
    assert list((tmp_path / "run").iterdir()) == []  # the folder was there before


def test_a_state_can_be_carried_into_the_finished_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    folder = save(out, 10, 20)
    with folder.lock(COMMAND):
        make_run(out, before_the_end=folder.carry)
    assert set(verify(out).files) == {"model.safetensors", "config.json"}
    assert sorted(path.name for path in folder.path.iterdir()) == ["metrics.jsonl", "step-00000020"]
    state, warnings = folder.newest()
    assert state is not None
    assert (state.step, warnings) == (20, [])


@pytest.mark.parametrize(("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700)])
def test_modes_of_a_state_follow_the_umask(mask: int, file: int, folder: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        place = save(tmp_path / "run", 10).path / "step-00000010"
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {file}
    assert stat.S_IMODE(place.stat().st_mode) == folder
