from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtlkit.errors import IntegrityError
from mtlkit.inference.scope.file import SCOPE, read_scopes, write_scopes
from mtlkit.inference.scope.scope import LEVELS, Predicted, Scope, fit_scope, mean_of_largest, parts_of, usual_nearness
from mtlkit.runs.record import RunRecord
from mtlkit.runs.staging import finish


def angles(*degrees: float) -> np.ndarray:
    """Vectors of length 2 at these angles, (N, 2)."""
    turns = np.radians(degrees)
    return 2 * np.stack([np.cos(turns), np.sin(turns)], 1).astype(np.float32)


def fitted(rows: int = 400) -> Scope:
    """Two classes around 0 and 90 degrees, and texts that fit them."""
    random = np.random.default_rng(0)
    classes = np.arange(60) % 2
    vectors = angles(*(90 * classes + random.normal(0, 5, 60)))
    own = np.arange(rows) % 2
    texts = Predicted(own, random.uniform(0.6, 0.99, rows), angles(*(90 * own + random.normal(0, 5, rows))))
    return fit_scope(vectors, classes, 2, texts)


def test_parts_of_a_score_are_logit_cosine_and_cosine_within_the_class() -> None:
    prototypes, classes = angles(0, 60, 90) / 2, np.array([0, 1, 1])
    texts = Predicted(np.array([0, 1]), np.array([0.5, 0.9]), angles(0, 0))
    logit, near, near_class = parts_of(texts, prototypes, classes, np.array([0.25, 0.5]))
    np.testing.assert_allclose(logit, [0, np.log(9)], atol=1e-6)
    np.testing.assert_allclose(near, [0.75, 0.75], atol=1e-6)  # of cos 0 and cos 60
    np.testing.assert_allclose(near_class, [1 - 0.25, 0.25 - 0.5], atol=1e-6)
    _, near, near_class = parts_of(texts, prototypes, classes, np.zeros(2), own=np.array([0, -1]))
    np.testing.assert_allclose(near, [0.25, 0.75], atol=1e-6)  # without itself
    np.testing.assert_allclose(near_class, [-1, 0.25], atol=1e-6)  # its class has no other prototype


def test_what_is_usual_for_a_class_is_the_cosine_with_others_of_it() -> None:
    prototypes, classes = angles(0, 60, 90, 180) / 2, np.array([0, 0, 1, 3])
    np.testing.assert_allclose(usual_nearness(prototypes, classes, 4), 0.5, atol=1e-6)
    np.testing.assert_array_equal(usual_nearness(prototypes[:1], classes[:1], 2), 0)
    assert mean_of_largest(np.float32([[1, 0.5]]), np.array([[True, True]]), 3).tolist() == [-1]


@pytest.mark.parametrize("rows", [400, 3 * LEVELS])
@pytest.mark.parametrize("rate", [0.0, 0.05, 0.3])
def test_a_threshold_keeps_the_stated_share(rows: int, rate: float) -> None:
    scope = fitted(rows)
    assert len(scope.scores) == min(rows, LEVELS)
    assert scope.rows == rows
    random = np.random.default_rng(1)
    own = np.arange(5000) % 2
    texts = Predicted(own, random.uniform(0.6, 0.99, 5000), angles(*(90 * own + random.normal(0, 5, 5000))))
    rejected = (scope.score(texts) < scope.threshold(rate)).mean()
    assert rejected == pytest.approx(rate, abs=0.01 + 4 * (rate * (1 - rate) / rows) ** 0.5)
    assert scope.threshold("auto") == scope.threshold(0.05)


def test_texts_far_from_all_classes_score_low() -> None:
    scope = fitted()
    near, far, unsure, other = scope.score(
        Predicted(np.array([0, 0, 0, 1]), np.array([0.9, 0.9, 0.51, 0.9]), angles(1, 45, 1, 1))
    ).tolist()
    assert near > scope.threshold("auto") > far
    assert near > unsure
    assert near > other  # near a class, but not the predicted one


def run_with(folder: Path, scopes: dict[str, Scope]) -> Path:
    staged = folder.with_name("staged")
    staged.mkdir()
    write_scopes(staged, scopes)
    finish(staged, folder, RunRecord("mtl", "mtlkit train-mtl", {}, 0, {}, {}))
    return folder


def test_scopes_are_read_as_they_were_written(tmp_path: Path) -> None:
    scope = fitted()
    folder = run_with(tmp_path / "run", {"topic": scope})
    (name, read), *others = read_scopes(folder).items()
    assert (name, others, read.rows) == ("topic", [], scope.rows)
    for field in ("prototypes", "classes", "usual", "means", "spreads", "scores"):
        np.testing.assert_array_equal(getattr(read, field), getattr(scope, field))
        assert getattr(read, field).dtype == getattr(scope, field).dtype
    assert (folder / SCOPE).stat().st_size < 60 * (2 * 2 + 4) + 4 * 400 + 2000


def test_a_run_without_scopes_has_none(tmp_path: Path) -> None:
    folder = run_with(tmp_path / "run", {})
    assert not (folder / SCOPE).exists()
    assert read_scopes(folder) == {}
    assert read_scopes(tmp_path) == {}


def test_damaged_scopes_are_refused(tmp_path: Path) -> None:
    folder = run_with(tmp_path / "run", {"topic": fitted()})
    content = bytearray((folder / SCOPE).read_bytes())
    content[-1] ^= 1
    (folder / SCOPE).write_bytes(content)
    with pytest.raises(IntegrityError, match=rf"{SCOPE}: damaged"):
        read_scopes(folder)


def test_arrays_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    scope = fitted()
    values = {name: getattr(scope, name) for name in scope.__dataclass_fields__}
    wrong = Scope(**{**values, "classes": scope.classes + 2})
    with pytest.raises(IntegrityError, match="out of range"):
        read_scopes(run_with(tmp_path / "run", {"topic": wrong}))
