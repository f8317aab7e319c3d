"""`embed --similarity` and `embed --dim`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from forks import Forks

import mtlkit

if TYPE_CHECKING:
    from .conftest import Typed

TEXTS = ["The cat sleeps.", "A saw [/] lies broken.", "Une scie"]


@pytest.fixture(scope="module")
def wanted(runs: Path) -> np.ndarray:
    """Cosines by hand."""
    vectors = mtlkit.load(runs / "mtl").embed(TEXTS)
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors @ vectors.T / np.outer(lengths, lengths)


def test_piped_a_row_of_the_matrix_is_a_json_line(forks: Forks, runs: Path, wanted: np.ndarray) -> None:
    answer = forks.start("embed", "--similarity", *TEXTS, "--model", runs / "mtl")
    assert answer.wait() == 0, answer.err
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert [list(row) for row in rows] == [["text", "cosines"]] * 3
    assert [row["text"] for row in rows] == TEXTS
    np.testing.assert_allclose([row["cosines"] for row in rows], wanted, atol=1e-5)


def test_json_is_one_document(typed: Typed, mtl: Path, wanted: np.ndarray) -> None:
    answer = typed("embed", "-", "--similarity", "--model", mtl, "--json", stdin="\n".join(TEXTS).encode())
    document = json.loads(answer.out)
    assert list(document) == ["model", "texts", "cosines"]
    assert (document["model"], document["texts"]) == (str(mtl), TEXTS)
    np.testing.assert_allclose(document["cosines"], wanted, atol=1e-5)


def test_a_terminal_shows_the_matrix_alone(typed: Typed, mtl: Path, wanted: np.ndarray) -> None:
    answer = typed("embed", "--similarity", *TEXTS, "--model", mtl, terminal=True, width=80)
    assert answer.code == 0
    assert answer.widest <= 80
    assert "A saw [/] lies broken." in answer.out
    assert "first values" not in answer.out
    assert all(f"{value:.3f}" in answer.out for value in wanted.ravel())
    assert "\x1b[" in answer.raw
    wide = typed("embed", "--similarity", *TEXTS * 10, "--model", mtl, terminal=True, width=80)
    assert (wide.code, wide.out) == (0, "")
    assert "a matrix of 30 texts does not fit in 80 columns; use --json" in " ".join(wide.err.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a"], "--similarity needs two texts at least, and there is one"),
        (["-"], "--similarity needs two texts at least, and there are none"),
        (["a", "b", "--output", "a.npy"], "--similarity writes no file, it prints; leave --output out"),
        (["a", "b", "--resume"], "--resume needs an --output"),
        (["a", "b", "--dim", "33"], "have 32 dimensions"),
    ],
)
def test_incomparable_trainings_are_reported(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, mtl: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = typed("embed", "--similarity", *arguments, "--model", mtl)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_vectors_are_cut(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    whole = json.loads(typed("embed", *TEXTS, "--model", mtl, "--json").out)
    cut = json.loads(typed("embed", *TEXTS, "--model", mtl, "--dim", "5", "--json").out)
    assert (whole["dim"], cut["dim"]) == (32, 5)
    assert [row["vector"] for row in cut["vectors"]] == [row["vector"][:5] for row in whole["vectors"]]
    answer = typed("embed", *TEXTS, "--model", mtl, "--dim", "5", "-o", tmp_path / "v.npy")
    assert answer.out == f"{tmp_path / 'v.npy'}: 3 vectors of 5\n"
    assert np.load(tmp_path / "v.npy").shape == (3, 5)
    assert typed("embed", "a", "--model", mtl, "--dim", "33").code == 2
    assert typed("embed", "a", "--model", mtl, "--dim", "0").code == 2
