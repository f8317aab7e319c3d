"""A disk that is full when the last file of a command is written: one line, exit 3, and what was there before is intact."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from killing import differences

from mtlkit.runs.record import file_digest, verify

if TYPE_CHECKING:
    from .conftest import Typed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
Limited = Callable[[int], AbstractContextManager[None]]


@pytest.fixture
def limited() -> Limited:
    """No file gets more bytes than that: as on a full disk, but for the words."""
    import resource

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limit


@pytest.fixture(params=[("--solver", "lbfgs"), ("--solver", "sgd", "--epochs", 2)], ids=["solved", "by steps"])
def frozen(data: Path, mtl: Path, request: pytest.FixtureRequest) -> tuple[object, ...]:
    """A training whose checkpoint is small and whose run is large."""
    return ("train-mtl", "--init", mtl, "--task", f"kind={data / 'kind'}", "--freeze", "backbone", *request.param)


def test_a_run_that_cannot_be_saved_leaves_a_checkpoint(  # fault 45
    typed: Typed, limited: Limited, frozen: tuple[object, ...], tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole" / "run", tmp_path / "run"
    assert typed(*frozen, "--out", whole).code == 0
    with limited(30_000):
        answer = typed(*frozen, "--out", out)
    assert answer.code == 3
    assert "Traceback" not in answer.err
    last = answer.err.splitlines()[-1]
    assert all(part in last for part in (str(out), "File too large", "checkpoint of step", "is kept"))
    assert last.endswith(f"mtlkit train-mtl --resume {out}")
    assert [path.name for path in out.iterdir()] == ["state"]
    assert typed("train-mtl", "--resume", out).code == 0
    assert not list(differences(out, whole))


def test_full_disk_at_the_last_checkpoint_is_reported(  # fault 45
    typed: Typed, limited: Limited, data: Path, mtl: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with limited(30_000):
        answer = typed("train-mtl", "--init", mtl, "--task", f"kind={data / 'kind'}", "--epochs", 1, "--out", out)
    assert answer.code == 3
    assert "cannot be saved: File too large; no checkpoint is kept, as there is no space for one either" in answer.err
    assert not out.exists()


def test_a_run_that_was_to_be_replaced_stays(  # fault 45
    typed: Typed, limited: Limited, frozen: tuple[object, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert typed(*frozen, "--out", out).code == 0
    before = file_digest(out / "run.json")
    with limited(30_000):
        assert typed(*frozen, "--out", out, "--overwrite", "--seed", 1).code == 3
    assert file_digest(out / "run.json") == before
    verify(out)


@pytest.mark.parametrize("format", ["sentence-transformers", "compact"])
def test_an_export_and_the_one_before_it(  # fault 45
    typed: Typed, limited: Limited, mtl: Path, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtlkit.recipes.export.find_spec", lambda _: None)  # it is not checked: quicker
    out = tmp_path / "out"
    words = ("export", mtl, out, "--format", format)
    with limited(10_000):
        answer = typed(*words)
    assert answer.code == 3
    assert f"{out}: File too large" in answer.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
    assert typed(*words).code == 0
    before = file_digest(out / "model.safetensors")
    with limited(10_000):
        assert typed(*words, "--overwrite").code == 3
    assert file_digest(out / "model.safetensors") == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_picture_and_the_one_before_it(typed: Typed, limited: Limited, mtl: Path, tmp_path: Path) -> None:  # fault 45
    pytest.importorskip("matplotlib")
    out = tmp_path / "curves.svg"
    out.write_text("the one before")
    with limited(1000):
        answer = typed("curves", mtl, "-o", out, "--overwrite")
    assert (answer.code, answer.err.count("\n")) == (3, 1)
    assert f"{out}: File too large" in answer.err
    assert out.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [out]
