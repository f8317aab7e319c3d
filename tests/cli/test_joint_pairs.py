"""Heads that read both texts of a pair in one sequence, from the command line on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import SENTENCES
from forks import Forks
from killing import check_resumes
from pair_files import QUICK
from support import json_lines

import mtlkit
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.recipes.export import export

if TYPE_CHECKING:
    from .conftest import Typed


@pytest.fixture(scope="module")
def run(pairs: Path, mtl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with heads for single texts, `kind` and `state`, and for pairs: `same` and `words` in one sequence, `apart` by their
    vectors."""
    out = tmp_path_factory.mktemp("runs") / "run"
    source = f"{pairs}?pair=premise,hypothesis"
    tasks = [f"same={source}&label=label&pair-head=joint", f"words={source}&label=score&pair-head=joint"]
    mtlkit.train_mtl(task=[*tasks, f"apart={source}&label=label"], init=str(mtl), freeze=["backbone"], out=out)
    return out


def test_a_frozen_backbone_encodes_each_pair_once(pairs: Path, mtl: Path, typed: Typed, tmp_path: Path) -> None:
    task = f"same={pairs}?pair=premise,hypothesis&label=label&pair-head=joint"
    answer = typed(
        "train-mtl", "--task", task, "--init", mtl, "--freeze", "backbone", "--solver", "sgd", "--out", tmp_path / "run"
    )
    assert answer.code == 0
    assert re.search(r"encoded 120 texts", answer.err)
    assert "frozen and unchanged (same SHA-256): backbone" in answer.err
    description = json.loads((tmp_path / "run" / "config.json").read_text())
    (spec,) = [task for task in description["tasks"] if task["name"] == "same"]
    assert spec["pair"] == "joint"


def test_all_kinds_of_heads_train_and_stay_together(pairs: Path, data: Path, mtl: Path, typed: Typed, tmp_path: Path) -> None:
    source = f"{pairs}?pair=premise,hypothesis"
    tasks = ("--task", f"same={source}&label=label&pair-head=joint", "--task", f"apart={source}&label=label")
    more = ("--watch", f"kind={data / 'kind'}", "--guard", "lwf", "--guard", "ewc", "--schedule", "joint", "--balance", "famo")
    answer = typed(
        "train-mtl", *tasks, "--task", f"state={data / 'state'}", "--init", mtl, "--out", tmp_path / "run", *QUICK, *more
    )
    assert answer.code == 0, answer.err
    more = ("--watch", f"same={pairs}", "--guard", "lwf", "--guard", "ewc", "--max-forgetting", 90)
    again = typed(
        "train-mtl",
        "--task",
        f"apart={source}&label=label",
        "--init",
        tmp_path / "run",
        "--out",
        tmp_path / "next",
        *QUICK,
        *more,
    )
    assert again.code == 0, again.err
    assert "a fresh one" not in again.err
    assert "same" in json.loads((tmp_path / "next" / "run.json").read_text())["data"]
    continued = typed(
        "train-mtl", "--task", f"same={source}&label=label", "--init", tmp_path / "run", "--out", tmp_path / "on", *QUICK
    )
    assert continued.code == 0, continued.err
    assert "a fresh one" not in continued.err  # the head stays what it is without pair-head=


def test_eval_compares_both_ways_to_read_pairs(run: Path, pairs: Path, typed: Typed, tmp_path: Path) -> None:
    errors = tmp_path / "errors.jsonl"
    answer = typed("eval", "--model", run, "--json", "--errors", errors, "--confusion", "--calibration", "--against", run)
    assert answer.code == 0, answer.err
    tasks = json.loads(answer.out)["tasks"]
    assert tasks["same"]["n"] == tasks["apart"]["n"] == 40
    assert {row["task"] for row in json_lines(errors.read_text())} >= {"words"}
    assert all(row["second_text"] in SENTENCES for row in json_lines(errors.read_text()) if row["task"] == "words")


def test_predict_reads_pairs_in_both_ways(run: Path, pairs: Path, typed: Typed) -> None:
    answer = typed("predict", "--model", run, "--pair", SENTENCES[0], SENTENCES[50])
    (row,) = json_lines(answer.out)
    assert list(row["tasks"]) == ["same", "words", "apart"]
    loaded = mtlkit.load(run)
    batch = [(SENTENCES[5], SENTENCES[6]), (SENTENCES[0], SENTENCES[50])]
    for found in (loaded.predict(batch)[1], loaded.predict([*reversed(batch)])[0]):
        assert found["words"]["value"] == pytest.approx(row["tasks"]["words"]["value"], abs=1e-5)
    turned = loaded.predict([(SENTENCES[50], SENTENCES[0])])[0]
    assert abs(turned["words"]["value"] - row["tasks"]["words"]["value"]) > 1e-4  # the order matters
    named = typed("predict", "--model", run, "--input", pairs / "test.csv", "--task", "words")
    assert len(json_lines(named.out)) == 40
    rejected = loaded.predict([batch[0], (SENTENCES[0], " ")], reject="auto")
    assert rejected[1]["same"]["rejected"]
    with pytest.raises(TypeError, match="pass a list of strings"):
        loaded.predict([("one", 2)])  # type: ignore[list-item]


def test_single_texts_get_the_other_heads(run: Path, typed: Typed) -> None:
    answer = typed("predict", "--model", run, SENTENCES[0])
    assert json_lines(answer.out)[0]["tasks"].keys() == {"kind", "state"}
    assert "not used: heads for pairs of texts, with --pair FIRST SECOND: same, words, apart" in answer.err


def test_embed_is_what_it_was(run: Path, mtl: Path) -> None:
    assert (mtlkit.load(run).embed(SENTENCES) == mtlkit.load(mtl).embed(SENTENCES)).all()


def test_info_tells_both_kinds_of_heads_apart(run: Path, typed: Typed) -> None:
    out = typed("info", run, width=160).out
    assert "regression, pairs in one sequence" in out
    assert "classification, pairs" in out


@pytest.mark.slow
def test_exports_agree_with_the_run(run: Path, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    pytest.importorskip("onnxscript")
    for name in ("sentence-transformers", "onnx"):
        exported = export(ExportOptions(model=str(run), format=name, out=tmp_path / name))  # type: ignore[arg-type]
        assert exported.difference is not None
    batch = [(SENTENCES[0], SENTENCES[50]), (SENTENCES[3], SENTENCES[4])]  # short: the libraries truncate at other ends
    expected = mtlkit.load(run).predict(batch)
    for name, backend in (("onnx", "onnx"), ("sentence-transformers", "torch")):
        found = mtlkit.load(tmp_path / name, backend=backend).predict(batch)  # type: ignore[arg-type]
        for one, other in zip(found, expected, strict=True):
            assert one["words"]["value"] == pytest.approx(other["words"]["value"], abs=1e-5)
    folders = tmp_path / "sentence-transformers" / "cross-encoder"
    scores = library.CrossEncoder(str(folders / "words"), device="cpu").predict(batch)
    assert scores == pytest.approx([row["words"]["value"] for row in expected], rel=1e-5)
    shares = library.CrossEncoder(str(folders / "same"), device="cpu").predict(batch, apply_softmax=True)
    assert shares == pytest.approx(np.array([[*row["same"]["probabilities"].values()] for row in expected]), abs=1e-5)
    card = (tmp_path / "sentence-transformers" / "README.md").read_text()
    assert 'CrossEncoder("this/folder/cross-encoder/same")' in card


@pytest.mark.slow
def test_a_training_resumes_bit_for_bit(pairs: Path, mtl: Path, typed: Typed, forks: Forks, tmp_path: Path) -> None:
    source = f"{pairs}?pair=premise,hypothesis&label=label"
    command = ("train-mtl", "--task", f"same={source}&pair-head=joint", "--init", mtl, *QUICK, "--save-every", 1)
    check_resumes(5, typed, forks, command, tmp_path)
