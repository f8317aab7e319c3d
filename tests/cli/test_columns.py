"""Choices made when reading a table are shown, recorded in the run and used again by its commands, typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support import write

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.recipes.train_mtl import stream
from mtlkit.training.events import Note

if TYPE_CHECKING:
    from .conftest import Typed

FROZEN = ("--init", "mini", "--freeze", "backbone", "--epochs", 1)


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose task reads title and body, with `new.csv` beside it, which has both, and `half.csv`, which has one."""
    folder = tmp_path_factory.mktemp("joined")
    rows = [["title", "body", "id", "grade"], *([f"title {row}", f"body {row}", row, "ab"[row % 2]] for row in range(20))]
    path = write(folder / "a.csv", rows)
    write(folder / "new.csv", [["grade", "body", "title", "text"], ["a", "one", "two", "three"], ["b", "four", "five", "six"]])
    write(folder / "half.csv", [["body", "grade"], ["one", "a"], ["four", "b"]])
    source = f"t={path}?text=title+body&label=grade"
    options = TrainMtlOptions(task=[source], init="mini", freeze=["backbone"], epochs=1, out=folder / "run")
    notes = [event.text for event in stream(options) if isinstance(event, Note)]
    assert any("t: text=title+body, label=grade (classification); not used: id; csv" in note for note in notes)
    assert any("18 rows to train on, 2 to validate (10.0% held out)" in note for note in notes)
    return folder / "run"


def test_columns_of_a_run_are_read_again(typed: Typed, joined: Path) -> None:  # faults 54 and 55
    config = json.loads((joined / "config.json").read_text())
    assert config["sources"]["t"]["text"] == ["title", "body"]
    folder = joined.parent
    answer = typed("eval", "--model", joined, "--task", f"t={folder / 'new.csv'}")
    assert answer.code == 0, answer.err
    assert "t: text=title+body, label=grade (classification); not used: text" in answer.err
    predicted = typed("predict", "--model", joined, "--input", folder / "new.csv")
    assert [json.loads(line)["text"] for line in predicted.out.splitlines()] == ["two one", "five four"]
    named = typed("predict", "--model", joined, "--input", folder / "new.csv", "--column", "text")
    assert [json.loads(line)["text"] for line in named.out.splitlines()] == ["three", "six"]
    embedded = typed("embed", "--model", joined, "--input", folder / "new.csv")
    assert [json.loads(line)["text"] for line in embedded.out.splitlines()] == ["two one", "five four"]


def test_a_column_of_a_run_that_is_missing_is_an_error(typed: Typed, joined: Path) -> None:  # fault 54
    half = joined.parent / "half.csv"
    for arguments in (("eval", "--task", f"t={half}"), ("predict", "--input", half), ("embed", "--input", half)):
        answer = typed(arguments[0], "--model", joined, *arguments[1:])
        assert (answer.code, answer.out) == (3, "")
        assert f"column 'title' not found in {half}; the model reads its text from 'title+body'" in answer.err
    assert typed("predict", "--model", joined, "--input", half, "--column", "body").code == 0
    assert typed("eval", "--model", joined, "--task", f"t={half}?text=body").code == 0


@pytest.fixture(scope="module")
def western(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained on a file that is delimited by semicolons and written in Latin-1."""
    folder = tmp_path_factory.mktemp("western")
    rows = "".join(f"un caf\xe9, num\xe9ro {row};{'ab'[row % 2]}\n" for row in range(20))
    (folder / "reviews.csv").write_bytes(f"text;label\n{rows}".encode("latin-1"))
    source = f"t={folder / 'reviews.csv'}:delimiter=;,encoding=latin-1"
    list(stream(TrainMtlOptions(task=[source], init="mini", freeze=["backbone"], epochs=1, out=folder / "run")))
    return folder / "run"


def texts_of(out: str) -> list[str]:
    return [json.loads(line)["text"] for line in out.splitlines()]


def test_delimiter_and_encoding_of_a_run_are_used_again(typed: Typed, western: Path, tmp_path: Path) -> None:  # fault 54
    new = tmp_path / "new.csv"
    new.write_bytes("text;label\nd\xe9j\xe0, vu;a\nun; deux;b\ntrois;b\n".encode("latin-1"))
    answer = typed("eval", "--model", western, "--task", f"t={new}", "--on-bad-row", "skip")
    assert answer.code == 0, answer.err
    assert "delimiter ';', quoting, latin-1" in answer.err
    assert f"1 row skipped, such as {new}:3: 3 fields" in answer.err
    new.write_bytes("text;label\nd\xe9j\xe0, vu;a\n".encode("latin-1"))
    for command in ("predict", "embed"):
        done = typed(command, "--model", western, "--input", new)
        assert (done.code, texts_of(done.out)) == (0, ["d\xe9j\xe0, vu"])
        assert "delimiter ';', quoting, latin-1" in done.err
    said = typed("predict", "--model", western, "--input", new, "--encoding", "utf-8")
    assert (said.code, said.out) == (3, "")
    assert "is not valid utf-8" in said.err
    named = typed("predict", "--model", western, "--input", f"{new}:encoding=cp1252,delimiter=comma,text=text;label")
    assert (named.code, texts_of(named.out)) == (3, [])  # the text contains a comma, so there is one field too many


def test_file_with_another_layout_is_reported(typed: Typed, western: Path, tmp_path: Path) -> None:  # fault 54
    new = tmp_path / "new.csv"
    new.write_text("sentence,label\nun caf\xe9; deux,a\n", encoding="utf-8")
    for arguments in (("eval", "--task", f"t={new}"), ("predict", "--input", new), ("embed", "--input", new)):
        done = typed(arguments[0], "--model", western, *arguments[1:])
        assert done.code == 0, done.err
        lines = done.err.splitlines()
        assert f"{new}: read as utf-8, although the model's training data was latin-1" in lines
        assert f"{new}: layout differs from the model's training data; read with delimiter comma, not semicolon" in lines
        assert f"column 'text' of the model's data not found in {new}; using 'sentence'" in lines
        assert arguments[0] == "eval" or texts_of(done.out) == ["un caf\xe9; deux"]
    piped = typed("predict", "--model", western, "--input", "-:format=csv", stdin=new.read_bytes())
    assert (piped.code, piped.out) == (3, "")


def test_a_run_without_records_reads_columns_by_their_names(typed: Typed, joined: Path, tmp_path: Path) -> None:
    half = joined.parent / "half.csv"
    joined = Path(shutil.copytree(joined, tmp_path / "run"))
    config = json.loads((joined / "config.json").read_text())
    assert config.pop("sources")
    (joined / "config.json").write_text(json.dumps(config))
    record = json.loads((joined / "run.json").read_text())
    record["files"] = {name: digest for name, digest in record.get("files", {}).items() if name != "config.json"}
    (joined / "run.json").write_text(json.dumps(record))
    answer = typed("predict", "--model", joined, "--input", half)
    assert answer.code == 0, answer.err


def test_marks_have_names_up_to_predictions(typed: Typed, tmp_path: Path) -> None:  # fault 54
    rows = [{"text": f"text {row}", "labels": [row % 2, 1 - row % 2, 0]} for row in range(20)]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    answer = typed("train-mtl", "--task", f"t={path}?names=odd,even,never", *FROZEN, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "marks: odd, even, never" in answer.err
    evaluated = json.loads(typed("eval", "--model", tmp_path / "run", "--task", f"t={path}", "--json").out)
    assert list(evaluated["tasks"]["t"]["per_class"]) == ["odd", "even", "never"]
    predicted = json.loads(typed("predict", "--model", tmp_path / "run", "text 3").out)
    assert list(predicted["tasks"]["t"]["probabilities"]) == ["odd", "even", "never"]


@pytest.mark.parametrize(("key", "said"), [("", "negatives=negative"), ("?negatives=none", "not used: negative")])
def test_pairs_say_whether_they_read_negatives(  # fault 55
    typed: Typed, tmp_path: Path, key: str, said: str
) -> None:
    rows = [["anchor", "positive", "negative"], *([f"one {row}", f"two {row}", f"three {row}"] for row in range(8))]
    path = write(tmp_path / "p.csv", rows)
    options = ("--objective", "pairs", "--init", "mini", "--epochs", 1, "--freeze", "embeddings,layers:0")
    answer = typed("train-sentence", "--task", f"p={path}{key}", *options, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "first=anchor, second=positive" in answer.err
    assert said in answer.err


def test_labels_that_look_alike_stay_separate_and_are_reported(typed: Typed, tmp_path: Path) -> None:  # fault 54
    labels = ["ham", "spam", "Spam", "spam "]
    path = write(tmp_path / "a.csv", [["text", "label"], *([f"text {row}", labels[row % 4]] for row in range(40))])
    answer = typed("check-data", "--model", "mini", "--task", f"t={path}")
    assert "labels 'Spam', 'spam', 'spam ' differ only in case, blanks or Unicode form" in answer.out
    assert " 'spam ' " in answer.out
    warned = typed("train-mtl", "--task", f"t={path}", *FROZEN, "--out", tmp_path / "run")
    assert "labels 'Spam', 'spam', 'spam ' differ" in warned.err
    joined = typed("check-data", "--model", "mini", "--task", f"t={path}?strip=yes&fold=yes", "--json")
    assert list(json.loads(joined.out)["tasks"][0]["splits"][0]["classes"]) == ["spam", "ham"]


def test_many_classes_are_no_long_line(typed: Typed, tmp_path: Path) -> None:  # fault 54
    rows = [[f"text {row}", f"class {row % 50} {'x' * 500}"] for row in range(150)]
    path = write(tmp_path / "a.csv", [["text", "label"], *rows])
    answer = typed("train-mtl", "--task", f"t={path}", *FROZEN, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    other = write(tmp_path / "b.csv", [["text", "label"], *([text, f"other {label}"] for text, label in rows)])
    refused = typed("eval", "--model", tmp_path / "run", "--task", f"t={other}")
    assert refused.code == 3
    assert "no row has a label that the head knows; data: 'other class 0 xx" in refused.err
    again = typed("train-mtl", "--task", f"t={other}", *FROZEN[2:], "--init", tmp_path / "run", "--out", tmp_path / "again")
    assert "50 classes that head 't' of" in again.err
    assert max(map(len, (answer.err + refused.err + again.err).splitlines())) < 700
