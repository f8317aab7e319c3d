"""`predict --reject` and `eval --out-of-scope`, on a run whose classes differ from foreign texts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import SENTENCES

import mtlkit
from mtlkit.errors import UsageError
from mtlkit.inference.scope.file import SCOPE, read_scopes
from mtlkit.runs.record import RECORD

if TYPE_CHECKING:
    from .conftest import Typed

FOREIGN = "42 + 17 = 59 ???"


@pytest.fixture(scope="module")
def known(mtl: Path) -> str:
    """The text that fits best."""
    rows = mtlkit.load(mtl).predict(SENTENCES, "kind", reject="auto")
    return max(zip(SENTENCES, rows, strict=True), key=lambda pair: pair[1]["kind"]["score"])[0]


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line)["tasks"] for line in out.splitlines()]


def test_json_has_rejected_score_and_threshold(typed: Typed, mtl: Path, known: str) -> None:
    answer = typed("predict", known, FOREIGN, " \t", "--model", mtl, "--reject", "auto")
    assert answer.code == 0
    rows = rows_of(answer.out)
    for row in rows:
        for task in row.values():
            assert list(task) == ["label", "probability", "probabilities", "rejected", "score", "threshold"]
    best, foreign, blank = (row["kind"] for row in rows)
    assert best["threshold"] == foreign["threshold"] == read_scopes(mtl)["kind"].threshold(0.05)
    assert best["score"] > foreign["score"]
    assert [best["rejected"], blank["rejected"]] == [False, True]
    assert foreign["rejected"] == (foreign["score"] < foreign["threshold"])
    mostly = rows_of(typed("predict", known, FOREIGN, "--model", mtl, "--reject", "0.9").out)
    assert mostly[0]["kind"]["threshold"] > best["threshold"]
    assert mostly[1]["kind"]["rejected"]


def test_a_terminal_shows_none_of_these(typed: Typed, mtl: Path, known: str) -> None:
    answer = typed("predict", known, "", "--model", mtl, "--reject", "0.05", "--task", "kind", terminal=True)
    assert "none of these" in answer.out
    assert "animal" in answer.out or "tool" in answer.out


def test_blank_texts_are_warned_of_without_reject(typed: Typed, mtl: Path, known: str) -> None:
    answer = typed("predict", known, " ", "--model", mtl, "--task", "kind")
    assert "1 blank text" in answer.err
    assert list(rows_of(answer.out)[1]["kind"]) == ["label", "probability", "probabilities"]
    assert "blank" not in typed("predict", known, "--model", mtl).err


@pytest.mark.parametrize("value", ["1", "-0.1", "5%", "nan", "ever"])
def test_a_rate_that_is_no_share_is_refused(typed: Typed, mtl: Path, known: str, value: str) -> None:
    answer = typed("predict", known, "--model", mtl, f"--reject={value}")
    assert (answer.code, answer.out) == (2, "")
    assert "--reject" in answer.err


def test_a_run_without_prototypes_says_what_to_do(typed: Typed, mtl: Path, known: str, tmp_path: Path) -> None:
    old = Path(shutil.copytree(mtl, tmp_path / "old"))
    record = json.loads((old / RECORD).read_text())
    del record["files"][SCOPE]
    (old / RECORD).write_text(json.dumps(record))
    (old / SCOPE).unlink()
    for command in (("predict", known, "--reject", "auto"), ("eval", "--out-of-scope", mtl / "metrics.jsonl")):
        answer = typed(*command, "--model", old)
        assert answer.code == 2
        assert "train again" in " ".join(answer.err.split())
    assert typed("predict", known, "--model", old).code == 0


def test_python_takes_a_number_or_auto(mtl: Path, known: str) -> None:
    model = mtlkit.load(mtl)
    (strict,) = model.predict([known], "kind", reject=0.5)
    (lenient,) = model.predict([known], "kind", reject="auto")
    assert strict["kind"]["threshold"] > lenient["kind"]["threshold"]
    with pytest.raises(UsageError, match="0 up to 1"):
        model.predict([known], reject=1.5)


def test_out_of_scope_texts_are_measured(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("\n".join(f"{number} + {number} = {2 * number} !!" for number in range(20)) + "\n\n", encoding="utf-8")
    answer = typed("eval", "--model", mtl, "--out-of-scope", foreign, "--json")
    assert answer.code == 0
    found = json.loads(answer.out)["out_of_scope"]
    assert list(found) == ["kind", "state"]
    kind = found["kind"]
    assert (kind["fitting"], kind["foreign"]) == (16, 20)  # the blank line does not count
    assert kind["auroc"] > 0.7
    low, high = kind["auroc_interval"]
    assert low <= kind["auroc"] <= high
    shown = typed("eval", "--model", mtl, "--out-of-scope", foreign)
    assert "AUROC" in shown.out
    assert "20 texts" in shown.out
