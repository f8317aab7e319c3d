"""Checkpoints and finished runs survive kills and errors at every disk operation."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faults import CODES, Case, failing_at, killed_at_each, places, watch
from scenes import SCENES, save

from mtlkit.errors import SavingError
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.outputs import check_output_folder
from mtlkit.runs.record import has_checkpoint, verify

SAVES: dict[Case, tuple[Any, Any]] = {
    ("the first checkpoint", True): (None, (30, "")),
    ("the next checkpoint", True): ((20, ""), (30, "")),
    ("a checkpoint again", True): ((20, ""), (20, "again")),
    ("a checkpoint again", False): ((20, ""), (20, "again")),
}
FINISHES: dict[Case, str] = {
    ("a run", True): "nothing",
    ("a run over another", True): "old",
    ("a run over another", False): "old",
    ("a run over its checkpoints", True): "checkpoints",
    ("a run over its checkpoints", False): "checkpoints",
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, list[Path]]:
    return killed_at_each(tmp_path_factory.mktemp("killed"), [*SAVES, *FINISHES])


def newest(out: Path) -> tuple[int, str] | None:
    """The step and note of the newest checkpoint, after checking that it is consistent and none is damaged."""
    checkpoint, warnings = CheckpointManager(out).newest()
    assert warnings == []
    if checkpoint is None:
        return None
    assert checkpoint.plain["seen"] == checkpoint.step
    assert set(checkpoint.tensors["weight"].flatten().tolist()) == {float(checkpoint.step)}
    return checkpoint.step, checkpoint.plain["note"]


def content_of(out: Path) -> str:
    """The content of a run folder, in a word, after verifying it."""
    if has_checkpoint(out):
        assert newest(out) == (20, "")
        return "checkpoints"
    if not out.exists():
        return "nothing"
    verify(out)
    return (out / "model.safetensors").read_text()


def is_clean(out: Path) -> bool:
    """Whether nothing but the run folder is left, with only the log and at most two checkpoints in it."""
    inside = sorted(path.name for path in (out / "state").iterdir()) if (out / "state").exists() else ["metrics.jsonl"]
    beside = [path.name for path in out.parent.iterdir() if path != out]
    return not beside and inside[0] == "metrics.jsonl" and len(inside) <= 3 and all(n.startswith("step-") for n in inside[1:])


@pytest.mark.parametrize("case", SAVES, ids=str)
def test_kill_during_a_save_leaves_the_old_or_the_new_checkpoint(  # fault 2
    case: Case, killed: dict[Case, list[Path]], tmp_path: Path
) -> None:
    ends = []
    for folder in killed[case]:
        shutil.copytree(folder, copy := tmp_path / folder.name)
        ends.append(newest(folder / "run"))
        peeked = CheckpointManager(folder / "run").peek()
        assert (peeked and (peeked["seen"], peeked["note"])) == ends[-1]
        save(copy / "run", 40)  # removes what the kill left
        assert newest(copy / "run") == (40, "")
        assert is_clean(copy / "run")
    before, after = SAVES[case]
    change = ends.index(after)
    assert change >= 8
    assert ends == [before] * change + [after] * (len(ends) - change)


@pytest.mark.parametrize("case", FINISHES, ids=str)
def test_kill_while_finishing_leaves_the_old_or_the_new_run(  # fault 2
    case: Case, killed: dict[Case, list[Path]]
) -> None:
    ends = []
    for folder in killed[case]:
        out = folder / "run"
        if not case[1]:
            check_output_folder(out, [], overwrite=True)  # as the next command does; not needed with an exchange
        ends.append(content_of(out))
    change = ends.index("new")
    assert change >= 6
    assert ends == [FINISHES[case]] * change + ["new"] * (len(ends) - change)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("scene", ["the first checkpoint", "the next checkpoint"])
def test_error_in_a_save_keeps_and_names_the_earlier_checkpoint(  # faults 5, 6
    scene: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = "no earlier checkpoint" if scene == "the first checkpoint" else "step 20 is kept"
    for number, out in enumerate(places(SCENES[scene][0], tmp_path / "each"), 1):
        folder, error = CheckpointManager(out), None
        with folder.lock("mtlkit train-mtl"):
            folder.log.touch()
            with monkeypatch.context() as patch:
                done = watch(patch, failing_at(number, code))
                try:
                    folder.save(30, {}, {"seen": 30})
                except SavingError as caught:
                    error = caught
            left = {path.name for path in folder.path.iterdir()} - {"metrics.jsonl"}
            assert left >= ({"step-00000020"} if "20" in kept else set())
            assert all(name.startswith("step-") for name in left)
            folder.save(40, {}, {})
            assert {path.name for path in folder.path.glob("*-*")} <= {"step-00000020", "step-00000030", "step-00000040"}
        if len(done) < number:
            assert error is None
            assert number > 8
            return
        if done[number - 1 :] == ["rename"] and len(left) == 3:  # the oldest could not be removed; the next save does that
            assert error is None
            continue
        for part in (f"{folder.path}: ", "step 30", os.strerror(code), kept):
            assert part in str(error)
        assert SavingError.exit_code == 3


@pytest.mark.parametrize("case", FINISHES, ids=str)
def test_error_while_finishing_keeps_the_old_content(  # faults 5, 6
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, act = SCENES[case[0]]
    code = errno.EIO
    ends = []
    for number, out in enumerate(places(before, tmp_path / "each"), 1):
        with monkeypatch.context() as patch:
            done = watch(patch, failing_at(number, code), exchanges=case[1])
            try:
                act(out)
            except OSError as error:
                if error.errno != code:
                    raise
        ends.append(content_of(out))
        assert [path.name for path in out.parent.iterdir()] in ([], ["run"])
        if len(done) < number:
            break
    change = ends.index("new")
    assert change >= 6
    assert ends == [FINISHES[case]] * change + ["new"] * (len(ends) - change)


def test_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path) -> None:  # fault 5
    save(tmp_path / "run", 10, 20)
    code = """if True:
        import resource, sys
        from pathlib import Path
        import torch
        from mtlkit.errors import SavingError
        from mtlkit.runs.checkpoints import CheckpointManager
        folder = CheckpointManager(Path(sys.argv[1]))
        with folder.lock("mtlkit train-mtl"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
            for tensors, plain in ({"weight": torch.zeros(8192)}, {}), ({}, {"text": "x" * 8192}):
                try:
                    folder.save(30, tensors, plain)
                except SavingError as error:
                    print(error)
    """
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "step 30" in line
        assert os.strerror(errno.EFBIG) in line
        assert "step 20 is kept" in line
    assert newest(tmp_path / "run") == (20, "")
    assert is_clean(tmp_path / "run")


def test_save_syncs_everything_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def note(count: int, name: str, path: Path) -> None:
        synced.append(path.name if name == "sync" else name)

    watch(monkeypatch, note)
    save(tmp_path / "run", 10)
    name = synced.index("rename")
    assert {"metrics.jsonl", "tensors.safetensors", "state.json", "manifest.json"} <= set(synced[:name])
    assert any(path.startswith(".step-00000010.") for path in synced[:name])
    assert synced[name + 1] == "state"
    assert [path for path in synced if path.startswith("write")] == ["write", "write_tensors", "write", "write"]
