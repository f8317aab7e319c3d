"""Tasks whose rows are pairs of texts, from the command line on: training, eval, predict, export, check-data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import SENTENCES
from forks import Forks
from killing import check_resumes
from pair_files import QUICK
from support import json_lines

import mtlkit
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.export import export

if TYPE_CHECKING:
    from .conftest import Typed


@pytest.fixture(scope="module")
def run(pairs: Path, mtl: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with heads for pairs, `same` and `words`, and for single texts, `kind` and `state`, solved on a frozen backbone."""
    out = tmp_path_factory.mktemp("runs") / "run"
    tasks = [f"same={pairs}?pair=premise,hypothesis&label=label", f"words={pairs}?pair=premise,hypothesis&label=score"]
    mtlkit.train_mtl(task=tasks, init=str(mtl), freeze=["backbone"], out=out)
    return out


def test_a_frozen_backbone_encodes_each_text_of_pairs_once(pairs: Path, mtl: Path, typed: Typed, tmp_path: Path) -> None:
    task = f"same={pairs}?pair=premise,hypothesis&label=label"
    answer = typed(
        "train-mtl", "--task", task, "--init", mtl, "--freeze", "backbone", "--solver", "sgd", "--out", tmp_path / "run"
    )
    assert answer.code == 0
    encoded = re.search(r"encoded (\d+) texts", answer.err)
    assert encoded is not None
    assert int(encoded[1]) <= len(SENTENCES) + 24  # the different texts of 108 pairs, and those of 12 to validate
    description = json.loads((tmp_path / "run" / "config.json").read_text())
    (spec,) = [task for task in description["tasks"] if task["name"] == "same"]
    assert spec["pair"] == "vectors"
    assert description["sources"]["same"]["first"] == "premise"


def test_everything_at_once_trains_pairs_with_single_texts(
    pairs: Path, data: Path, mtl: Path, typed: Typed, tmp_path: Path
) -> None:
    """A whole backbone, an old head that is watched and guarded: pairs and single texts in each step."""
    tasks = ("--task", f"same={pairs}?pair=premise,hypothesis&label=label", "--task", f"state={data / 'state'}")
    out = tmp_path / "run"
    more = ("--watch", f"kind={data / 'kind'}", "--guard", "lwf", "--guard", "ewc", "--schedule", "joint", "--router")
    answer = typed(
        "train-mtl", *tasks, "--init", mtl, "--out", out, *QUICK, *more, "--balance", "torchjd:upgrad", "--balance-on", "vectors"
    )
    if answer.code == 2 and "torchjd" in answer.err:
        pytest.skip("torchjd is not installed")
    assert answer.code == 0, answer.err
    assert "same" not in mtlkit.load(out).router
    more = ("--watch", f"same={pairs}", "--guard", "lwf", "--guard", "ewc", "--max-forgetting", 90)
    again = typed("train-mtl", "--task", f"new={data / 'state'}", "--init", out, "--out", tmp_path / "next", *QUICK, *more)
    assert again.code == 0, again.err  # an old head for pairs is evaluated on those it knows how to read, and kept
    assert "same" in json.loads((tmp_path / "next" / "run.json").read_text())["data"]


def test_eval_reads_the_columns_of_the_training(run: Path, pairs: Path, typed: Typed, tmp_path: Path) -> None:
    errors, matrix = tmp_path / "errors.jsonl", tmp_path / "matrix.csv"
    options = ("--json", "--errors", errors, "--confusion", "--output", matrix, "--against", run)
    answer = typed(
        "eval", "--model", run, "--task", f"same={pairs / 'test.csv'}", "--task", f"words={pairs / 'test.csv'}", *options
    )
    assert answer.code == 0, answer.err
    task = json.loads(answer.out)["tasks"]["same"]
    assert task["n"] == 40
    assert task["accuracy"] > 0.6
    assert len(task["accuracy_interval"]) == 2
    assert matrix.read_text().startswith("same,")
    wrong = [row for row in json_lines(errors.read_text()) if row["task"] == "words"]
    assert len(wrong) == 40
    assert wrong[0]["second_text"] in SENTENCES


def test_predict_takes_two_texts_two_columns_or_the_recorded_ones(run: Path, pairs: Path, typed: Typed) -> None:
    typed_pair = typed("predict", "--model", run, "--pair", SENTENCES[0], SENTENCES[50], SENTENCES[7])
    first, second = json_lines(typed_pair.out)
    assert first["pair"] == [SENTENCES[0], SENTENCES[50]]
    assert second["pair"] == [SENTENCES[0], SENTENCES[7]]
    assert first["tasks"].keys() == {"same", "words"}
    assert "not used: heads for single texts" in typed_pair.err
    assert "kind, state" in typed_pair.err
    named = typed("predict", "--model", run, "--input", pairs / "test.csv", "--pair", "premise,hypothesis", "--task", "same")
    recorded = typed("predict", "--model", run, "--input", pairs / "test.csv", "--task", "same")
    assert json_lines(named.out) == json_lines(recorded.out)
    assert len(json_lines(named.out)) == 40
    loaded = mtlkit.load(run)
    in_python = loaded.predict([(SENTENCES[0], SENTENCES[50])])[0]
    assert in_python["same"]["probability"] == pytest.approx(first["tasks"]["same"]["probability"], abs=1e-6)
    rejected = loaded.predict([(SENTENCES[0], SENTENCES[50]), (SENTENCES[0], " ")], "same", reject="auto")
    assert rejected[1]["same"]["rejected"]  # blank
    assert rejected[0]["same"]["rejected"] == (rejected[0]["same"]["score"] < rejected[0]["same"]["threshold"])


def test_a_terminal_shows_both_texts_of_a_pair(run: Path, typed: Typed) -> None:
    answer = typed("predict", "--model", run, "--pair", "one text", "another", terminal=True, width=120)
    assert "one text | another" in answer.out
    assert "kind" not in answer.out


def test_single_texts_get_the_heads_for_single_texts(run: Path, typed: Typed) -> None:
    answer = typed("predict", "--model", run, SENTENCES[0])
    assert json_lines(answer.out)[0]["tasks"].keys() == {"kind", "state"}
    assert "not used: heads for pairs of texts, with --pair FIRST SECOND: same, words" in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--task", "same", "a text"), 2, "head 'same' of .* reads pairs of texts; give pairs .*--pair"),
        (("--pair", "a text"), 2, "give the second after it"),
        (("--task", "kind", "--pair", "a", "b"), 2, "head 'kind' of .* reads single texts"),
        (("--input", "{}/test.csv", "--pair", "premise"), 2, "names one column"),
        (("--input", "{}/test.csv", "--pair", "premise,hypotesis"), 3, "'hypotesis' not found .*did you mean 'hypothesis'"),
        (("--input", "{}/test.csv", "--pair", "premise,premise"), 3, "named for both texts"),
        (("--input", "{}/gap.csv", "--task", "same"), 3, "gap.csv:3: no text in column 'hypothesis'"),
    ],
)
def test_predict_says_what_is_missing(
    arguments: tuple[str, ...], code: int, message: str, run: Path, pairs: Path, typed: Typed
) -> None:
    (pairs / "gap.csv").write_text("premise,hypothesis\na,b\nc,\n")
    answer = typed("predict", "--model", run, *(part.format(pairs) for part in arguments))
    assert answer.code == code
    assert re.search(message, answer.err), answer.err


def test_a_row_without_one_of_its_texts_is_named(mtl: Path, typed: Typed, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text("premise,hypothesis,label\n" + "a,b,yes\nc,d,no\n" * 5 + "e,,no\n")
    answer = typed("train-mtl", "--task", f"nli={path}?pair=premise,hypothesis", "--init", mtl, "--out", tmp_path / "run")
    assert answer.code == 3
    assert "train.csv:12: no text in column 'hypothesis'" in answer.err


def test_what_compares_single_texts_refuses_pairs(pairs: Path, mtl: Path, typed: Typed, tmp_path: Path) -> None:
    task = f"same={pairs}?pair=premise,hypothesis&label=label"
    for arguments in (("train-mtl", "--few-shot"), ("train-sentence", "--objective", "labels"), ("train-mtl", "--router")):
        answer = typed(*arguments, "--task", task, "--init", mtl, "--out", tmp_path / "run")
        assert answer.code == 2
        assert "pairs" in answer.err.splitlines()[-1]


@pytest.mark.slow
def test_exports_agree_with_the_run(run: Path, tmp_path: Path) -> None:
    for name, package in (("sentence-transformers", "sentence_transformers"), ("onnx", "onnxscript"), ("compact", "torch")):
        pytest.importorskip(package)
        exported = export(ExportOptions(model=str(run), format=name, out=tmp_path / name))  # type: ignore[arg-type]
        assert exported.difference is not None
    expected = mtlkit.load(run).predict([(SENTENCES[0], SENTENCES[50])])[0]
    for name, backend in (("onnx", "onnx"), ("sentence-transformers", "torch")):
        found = mtlkit.load(tmp_path / name, backend=backend).predict([(SENTENCES[0], SENTENCES[50])])[0]  # type: ignore[arg-type]
        assert found["words"]["value"] == pytest.approx(expected["words"]["value"], abs=1e-4)
    with pytest.raises(UsageError, match="reads pairs"):
        mtlkit.load(tmp_path / "onnx", backend="onnx").predict(["a text"], "same")
    card = (tmp_path / "sentence-transformers" / "README.md").read_text()
    assert "classification, pairs" in card
    assert 'apply_heads("this/folder", first, second)' in card


def test_info_shows_which_heads_read_pairs(run: Path, typed: Typed) -> None:
    answer = typed("info", run, width=160)
    assert "regression, pairs" in answer.out


def test_check_data_compares_whole_pairs(pairs: Path, typed: Typed, tmp_path: Path) -> None:
    rows = ["the cat,a cat,yes", "the dog,a dog,no", "a cat,a dog,yes", "a bird,the cat,no"] * 3
    (tmp_path / "train.csv").write_text("first,second,label\n" + "\n".join([*rows, "the cat,a cat,no"]) + "\n")
    (tmp_path / "test.csv").write_text("first,second,label\nthe cat,a dog,yes\nthe dog,a dog,no\n")
    answer = typed("check-data", "--task", f"nli={tmp_path}?pair=first,second", "--json", "--baseline")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    found = {(finding["problem"], finding["split"]): finding for finding in document["findings"]}
    assert found["overlap", "test"]["rows"] == 1  # the other pair has texts of training, but not together
    assert found["overlap", "test"]["noun"] == "pair"
    assert found["two labels", "train"]["value"] == "label"
    assert document["baselines"]["nli"]["rows"] > 0


@pytest.mark.slow
def test_a_training_on_pairs_resumes_bit_for_bit(
    pairs: Path, data: Path, mtl: Path, typed: Typed, forks: Forks, tmp_path: Path
) -> None:
    tasks = ("--task", f"same={pairs}?pair=premise,hypothesis&label=label", "--task", f"state={data / 'state'}")
    command = ("train-mtl", *tasks, "--init", mtl, *QUICK, "--save-every", 1)
    check_resumes(5, typed, forks, command, tmp_path)
