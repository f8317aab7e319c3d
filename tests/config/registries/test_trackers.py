"""Values of --track."""

from __future__ import annotations

from pathlib import Path

import pytest
from tracker_stubs import Recording

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.registries.trackers import TRACKERS, chosen_trackers, parse_track, track_wait
from mtlkit.errors import UsageError
from mtlkit.training.trackers.services.base import TrackerService


def test_names_are_joined_by_commas_or_repeated() -> None:
    assert parse_track("wandb, mlflow") == ["wandb", "mlflow"]
    assert parse_track("none") == []
    assert TrainMtlOptions(track="tensorboard,wandb").track == ["tensorboard,wandb"]


@pytest.mark.parametrize(
    ("text", "reason"), [("tensorbord", "did you mean 'tensorboard'"), ("", "choose one of"), ("none,wandb", "none stands alone")]
)
def test_other_values_are_refused(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        TrainMtlOptions(track=[text])


def test_a_folder_named_like_a_package_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stubdb").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TRACKERS, "stub", TrackerService(name="stub", help="", module="stubdb", extra="stub", factory=Recording))
    with pytest.raises(UsageError, match=r"needs stubdb, which is not installed; run: pip install 'mtlkit\[stub\]'"):
        chosen_trackers(["stub"])
    (tmp_path / "stubdb" / "__init__.py").touch()
    assert chosen_trackers(["stub", "stub"]) == ("stub",)


def test_the_wait_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLKIT_TRACK_WAIT", raising=False)
    assert track_wait() == 30
    monkeypatch.setenv("MTLKIT_TRACK_WAIT", "1.5")
    assert track_wait() == 1.5
    for wrong in ("soon", "-1", "inf"):
        monkeypatch.setenv("MTLKIT_TRACK_WAIT", wrong)
        with pytest.raises(UsageError, match="MTLKIT_TRACK_WAIT"):
            track_wait()
