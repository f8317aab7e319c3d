from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mtlkit.config.commands.run_commands import CurvesOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.curves import curves
from mtlkit.recipes.inputs import picture_files
from mtlkit.report.log_reader import read_curves
from mtlkit.runs.record import CHECKPOINTS, LOG


def test_a_folder_its_log_and_the_newest_run(runs: Path) -> None:
    log = runs / "mtl" / LOG
    asked = [CurvesOptions(run=runs / "mtl"), CurvesOptions(run=log), CurvesOptions(runs=runs)]
    found = [curves(options) for options in asked]
    assert [one.log for one in found] == [log] * 3
    assert [one.reason for one in found] == ["as specified", "as specified", f"the newest run in {runs}/"]
    assert found[0].curves == read_curves(log)


def test_a_training_that_is_not_finished_has_curves(runs: Path, tmp_path: Path) -> None:
    """A folder with nothing but the start of a log."""
    whole = (runs / "mtl" / LOG).read_bytes()
    (tmp_path / LOG).write_bytes(whole[: len(whole) // 2])
    found = curves(CurvesOptions(run=tmp_path)).curves
    assert 0 < len(found.gradient_norm) < len(read_curves(runs / "mtl" / LOG).gradient_norm)


def test_a_run_that_is_still_training_has_curves(runs: Path, tmp_path: Path) -> None:
    state = tmp_path / "mtl" / CHECKPOINTS
    state.mkdir(parents=True)
    shutil.copy(runs / "mtl" / LOG, state)
    for options in (CurvesOptions(run=tmp_path / "mtl"), CurvesOptions(runs=tmp_path)):
        shown = curves(options)
        assert shown.log == state / LOG
        assert "finished" in shown.reason


def test_run_without_curves_is_refused_with_advice(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^no run in {tmp_path}/"):
        curves(CurvesOptions(runs=tmp_path))
    with pytest.raises(UsageError, match=rf"no such folder; runs: .*did you mean '{runs / 'mtl'}'\?"):
        curves(CurvesOptions(run=runs / "mlt", runs=runs))
    with pytest.raises(UsageError, match=f"^run {tmp_path}: no {LOG} in it"):
        curves(CurvesOptions(run=tmp_path, runs=tmp_path))
    (tmp_path / LOG).touch()
    with pytest.raises(UsageError, match="no steps"):
        curves(CurvesOptions(run=tmp_path))


@pytest.mark.parametrize("name", ["curves.svg", "curves.PNG"])
def test_a_picture(runs: Path, tmp_path: Path, name: str) -> None:
    pytest.importorskip("matplotlib")
    shutil.copytree(runs / "sentence", tmp_path / "a run")
    curves(CurvesOptions(run=tmp_path / "a run", output=tmp_path / name))
    picture = (tmp_path / name).read_bytes()
    assert picture.startswith(b"<?xml" if name.endswith("svg") else b"\x89PNG")
    assert name.endswith("PNG") or b"<!-- a run -->" in picture
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a run", name]


def test_a_picture_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    for name, said in (("curves.gif", r"suffix '.gif' is not one of .svg, .png"), ("none/a.svg", "existing folder")):
        with pytest.raises(UsageError, match=said):
            curves(CurvesOptions(run=tmp_path / "no run", output=tmp_path / name))


def test_without_matplotlib_the_extra_is_named(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"needs matplotlib; install it with: pip install 'mtlkit\[pictures\]'$"):
        curves(CurvesOptions(run=runs / "mtl", output=tmp_path / "curves.svg"))
    assert curves(CurvesOptions(run=runs / "mtl")).curves.tasks
