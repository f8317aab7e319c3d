from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.recipes.train_sentence import train_sentence

if TYPE_CHECKING:
    from .conftest import Typed

HOSTILE = ["[/]", "[red]r[/red]", "esc\x1b[31m", "\x1b]8;;http://a\x1b\\b\x1b]8;;\x1b\\", "[link=http://a]x[/link]"]


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return path


@pytest.fixture(scope="module")
def hostile(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose labels and texts try to get at the terminal."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = [
        (f"{label} text {number}", HOSTILE[(place + number // 3) % 5])
        for place, label in enumerate(HOSTILE)
        for number in range(8)
    ]
    write(folder / "data" / "train.csv", rows)
    write(folder / "data" / "test.csv", [*rows[::3], ("new", "new[/]\x1b[2J")])
    options = TrainSentenceOptions(task=f"hostile={folder / 'data'}", init=str(runs / "pretrain"), out=folder / "run", epochs=1)
    return train_sentence(options).run


def test_json_has_the_promised_shape(typed: Typed, mtl: Path) -> None:
    answer = typed("eval", "--model", mtl, "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert list(document) == ["model", "split", "tasks"]
    assert (document["model"], document["split"]) == (str(mtl), "test")
    assert list(document["tasks"]) == ["kind", "state"]
    for task, labels in (("kind", ["animal", "tool"]), ("state", ["broken", "fine"])):
        found = document["tasks"][task]
        metrics = [key for name in ("accuracy", "macro_f1", "average_precision", "auroc") for key in (name, f"{name}_interval")]
        assert list(found) == ["kind", "n", *metrics, "positive_class", "labels", "confusion", "per_class", "calibration"]
        assert found["positive_class"] == labels[1]
        assert (found["kind"], found["n"], found["labels"]) == ("classification", 16, labels)
        assert [sum(row) for row in found["confusion"]] == [8, 8]
        assert found["accuracy"] == sum(found["confusion"][place][place] for place in (0, 1)) / 16
        assert found["accuracy"] > 0.7
        assert list(found["per_class"]) == labels
        for row in found["per_class"].values():
            names = ("precision", "recall", "f1", "average_precision", "auroc")
            assert list(row) == [*(key for name in names for key in (name, f"{name}_interval")), "support"]
            for low, high in (row["precision_interval"], row["f1_interval"]):
                assert 0 <= low <= high <= 1
            assert row["support"] == 8
    assert answer.err.startswith(f"model: {mtl}, as specified\n")
    assert "kind: text=text, label=label" in answer.err


def test_tables(typed: Typed, mtl: Path) -> None:
    answer = typed("eval", "--model", mtl, width=80)
    assert answer.code == 0
    assert "kind (test): accuracy" in answer.out
    assert "precision" in answer.out
    assert "rows true" not in answer.out
    confused = typed("eval", "--model", mtl, "--confusion", width=80)
    assert "kind: rows true, columns predicted" in confused.out
    assert confused.widest <= 80


def test_another_split(typed: Typed, mtl: Path) -> None:
    document = json.loads(typed("eval", "--model", mtl, "--split", "train", "--json").out)
    assert (document["split"], document["tasks"]["kind"]["n"]) == ("train", 64)
    assert json.loads(typed("eval", "--model", mtl, "--split", "validation", "--json").out)["tasks"]["kind"]["n"] == 6


def test_rows_that_heads_were_fitted_to_are_pointed_out(typed: Typed, solved: Path) -> None:
    answer = typed("eval", "--model", solved, "--split", "validation")
    assert answer.code == 0, answer.err
    assert "new-kind, new-state: these rows were trained on, too" in answer.err


@pytest.mark.parametrize("terminal", [False, True])
def test_hostile_labels_and_texts_are_shown_literally(typed: Typed, hostile: Path, terminal: bool) -> None:  # fault 30
    answer = typed("eval", "--model", hostile, "--confusion", width=160, terminal=terminal)
    assert answer.code == 0, answer.err
    assert "\x1b" not in answer.out  # beside the styles of the tables there is no control character
    for label in HOSTILE:
        assert label.replace("\x1b", "\N{REPLACEMENT CHARACTER}") in answer.out
    assert "hostile: most often confused" in answer.out
    assert "[/] text" in answer.out or "[red]r[/red] text" in answer.out
    narrow = typed("eval", "--model", hostile, "--confusion", width=80, terminal=terminal)
    assert narrow.code == 0
    assert narrow.widest <= 80


def test_a_label_unseen_in_training_is_counted_apart(typed: Typed, hostile: Path) -> None:  # fault 26
    answer = typed("eval", "--model", hostile, "--json")
    assert answer.code == 0
    task = json.loads(answer.out)["tasks"]["hostile"]
    assert task["unseen_labels"] == {"new[/]\x1b[2J": 1}
    assert task["n"] == 14
    assert sum(map(sum, task["confusion"])) == 14
    said = "hostile: 1 row with a label unseen in training ('new[/]\N{REPLACEMENT CHARACTER}[2J'); not counted in the metrics"
    assert said in answer.err


def test_rows_of_unseen_labels_alone_cannot_be_evaluated(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 26
    path = write(tmp_path / "other.csv", [("a", "plant"), ("b", "stone")])
    answer = typed("eval", "--model", mtl, "--task", f"kind={path}")
    assert (answer.code, answer.out) == (3, "")
    assert "no row has a label that the head knows; data: 'plant', 'stone'; head: 'animal', 'tool'" in answer.err


def test_the_order_of_labels_in_a_file_does_not_matter(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:  # fault 27
    rows = list(csv.reader((data / "kind" / "test.csv").read_text().splitlines()))[1:]
    first = json.loads(typed("eval", "--model", mtl, "--json").out)["tasks"]["kind"]
    tools_first = write(tmp_path / "tools.csv", [(text, label) for text, label in reversed(rows)])
    found = json.loads(typed("eval", "--model", mtl, "--task", f"kind={tools_first}", "--json").out)["tasks"]["kind"]
    names = ("n", "accuracy", "macro_f1", "labels", "confusion", "positive_class", "accuracy_interval")
    assert [found[name] for name in names] == [first[name] for name in names]
    tools_only = write(tmp_path / "only.csv", [(text, label) for text, label in rows if label == "tool"])
    found = json.loads(typed("eval", "--model", mtl, "--task", f"kind={tools_only}", "--json").out)["tasks"]["kind"]
    assert found["labels"] == ["animal", "tool"]
    assert found["confusion"] == [[0, 0], first["confusion"][1]]


def test_a_file_named_for_evaluation_is_taken_whole(typed: Typed, data: Path, mtl: Path) -> None:
    answer = typed("eval", "--model", mtl, "--task", f"kind={data / 'kind' / 'train.csv'}")
    assert answer.code == 0, answer.err
    assert "on 64 texts" in answer.out
    assert "state" not in answer.out


def test_bad_rows_can_be_skipped_and_are_counted(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 19
    path = tmp_path / "bad.csv"
    path.write_text("text,label\nThe cat,animal\ntoo,many,fields\nThe saw,tool\n")
    answer = typed("eval", "--model", mtl, "--task", f"kind={path}")
    assert answer.code == 3
    assert f"{path}:3: 3 fields, but the header has 2" in answer.err
    answer = typed("eval", "--model", mtl, "--task", f"kind={path}", "--on-bad-row", "skip", "--json")
    assert (answer.code, json.loads(answer.out)["tasks"]["kind"]["n"]) == (0, 2)
    assert f"1 row skipped, such as {path}:3: 3 fields, but the header has 2" in answer.err


def test_a_wrong_column_lists_those_there_are(typed: Typed, data: Path, mtl: Path) -> None:  # fault 25
    answer = typed("eval", "--model", mtl, "--task", f"kind={data / 'kind'}?text=txet")
    assert answer.code == 3
    assert "column 'txet' not found in" in answer.err
    assert "columns: text, label; did you mean 'text'?" in answer.err


@pytest.mark.parametrize(("name", "near"), [("knid", "kind"), ("topic", None)])
def test_a_task_without_a_head_is_refused(typed: Typed, data: Path, mtl: Path, name: str, near: str | None) -> None:
    answer = typed("eval", "--model", mtl, "--task", f"{name}={data / 'kind'}")
    assert (answer.code, answer.out) == (2, "")
    assert f"--task {name}: {mtl} has no such head; it has kind, state" in answer.err
    assert (f"did you mean '{near}'?" in answer.err) == bool(near)


def test_a_base_has_perplexity(typed: Typed, runs: Path) -> None:
    answer = typed("eval", "--model", runs / "pretrain")
    assert [line.split(":")[0] for line in answer.out.splitlines()][:3] == ["loss", "perplexity", "bits per byte"]
    document = json.loads(typed("eval", "--model", runs / "pretrain", "--json").out)
    assert document["tasks"] == {}
    assert {"loss", "perplexity", "bits_per_byte", "bits_per_byte_with_special", "tokens_scored"} <= set(document["base"])
    recorded = json.loads((runs / "pretrain" / "run.json").read_text())["metrics"]
    assert document["base"]["perplexity"] == pytest.approx(recorded["perplexity"], rel=1e-4)  # on the texts held out then


def test_options_that_do_not_fit_the_model_are_refused(typed: Typed, data: Path, runs: Path, mtl: Path) -> None:
    answer = typed("eval", "--model", mtl, "--text", data / "kind" / "train.csv")
    assert answer.code == 2
    assert f"--text measures a base; {mtl} has heads (kind, state)" in answer.err
    answer = typed("eval", "--model", runs / "pretrain", "--task", f"kind={data / 'kind'}")
    assert answer.code == 2
    assert "has no such head; it has none" in answer.err


def test_two_models_on_the_same_rows(typed: Typed, mtl: Path, hostile: Path) -> None:
    answer = typed("eval", mtl, "--against", mtl, "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert list(document) == ["model", "split", "tasks", "against"]
    kind = document["against"]["tasks"]["kind"]
    assert kind["metrics"]["accuracy"]["difference_interval"] == [0.0, 0.0]
    assert (kind["n"], kind["mcnemar"]["p"]) == (16, 1.0)
    shown = typed("eval", mtl, "--against", mtl, "--worst-first")
    assert "kind: no clear difference in accuracy" in shown.out
    assert "kind (test)" in shown.out  # the table of classes, which was asked for
    assert "kind (test)" not in typed("eval", mtl, "--against", mtl).out
    refused = typed("eval", mtl, "--against", hostile)
    assert (refused.code, "no task in common; " in refused.err) == (2, True)
    twice = typed("eval", mtl, "--model", hostile)
    assert (twice.code, "--against" in twice.err) == (2, True)


def test_errors_are_written_with_their_places(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    path = write(
        tmp_path / "wrong.csv", [("The cat sleeps near the river.", "tool"), ("A saw lies broken on the shelf.", "tool")]
    )
    out = tmp_path / "errors.jsonl"
    command = ("eval", mtl, "--task", f"kind={path}", "--errors", out)
    answer = typed(*command)
    assert answer.code == 0, answer.err
    assert f"1 row written to {out}" in answer.err
    (row,) = (json.loads(line) for line in out.read_text().splitlines())
    assert (row["task"], row["place"], row["label"], row["predicted"]) == ("kind", f"{path}:2", "tool", "animal")
    assert row["probability"] == max(row["probabilities"].values())
    assert typed(*command).code == 2
    assert typed(*command, "--overwrite").code == 0
