"""Tasks that label words, from the command line on: training, eval, predict, info, heads, export, check-data."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import ANIMALS, SENTENCES, TOOLS
from forks import Forks
from killing import check_resumes
from support import json_lines

import mtlkit
from mtlkit.data.tokenization.word_splitting import split_words
from mtlkit.model.encoder import Encoder

if TYPE_CHECKING:
    from .conftest import Typed

QUICK = ("--epochs", 1, "--min-steps", 0, "--batch-tokens", 256, "--learning-rate", 0.003, "--track-every", 0)


def tagged(text: str) -> dict[str, Any]:
    """A row with the words of a text and their tags: animals and tools with their article are spans."""
    words = text.rstrip(".").split()
    tags = ["O"] * len(words)
    for place, word in enumerate(words):
        kind = "animal" if word in ANIMALS else "tool" if word in TOOLS else ""
        if kind:
            tags[place - 1 : place + 1] = f"B-{kind}", f"I-{kind}"
    return {"words": words, "tags": tags}


def write_tagged(path: Path, texts: list[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(tagged(text)) + "\n" for text in texts))
    return path


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train and test."""
    folder = tmp_path_factory.mktemp("things")
    write_tagged(folder / "train.jsonl", [text for place, text in enumerate(SENTENCES) if place % 4])
    write_tagged(folder / "test.jsonl", SENTENCES[::4])
    return folder


@pytest.fixture(scope="module")
def task(things: Path) -> str:
    return f"things={things}?tokens=words&tags=tags"


@pytest.fixture(scope="module")
def run(task: str, mtl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a head for words, `things`, solved on a frozen backbone beside `kind` and `state`."""
    out = tmp_path_factory.mktemp("runs") / "run"
    mtlkit.train_mtl(task=[task], init=str(mtl), freeze=["backbone"], out=out)
    return out


def test_a_frozen_backbone_solves_a_head_of_words(run: Path, mtl: Path) -> None:
    description = json.loads((run / "config.json").read_text())
    spec = next(task for task in description["tasks"] if task["name"] == "things")
    assert (spec["kind"], spec["tags"]) == ("tokens", "bio")
    assert set(spec["labels"]) == {"O", "B-animal", "I-animal", "B-tool", "I-tool"}
    solved = next(line for line in json_lines((run / "metrics.jsonl").read_text()) if line.get("event") == "head_solved")
    assert solved["metric"] == "span_f1"
    assert solved["rows"] == 60  # texts, not words
    assert mtlkit.load(run).embed(["a text"]).tolist() == mtlkit.load(mtl).embed(["a text"]).tolist()


def test_eval_counts_spans(run: Path, typed: Typed, tmp_path: Path) -> None:
    errors = tmp_path / "errors.jsonl"
    answer = typed("eval", "--model", run, "--json", "--errors", errors, "--against", run, "--calibration")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    found = document["tasks"]["things"]
    assert found["n"] == 20
    assert found["span_f1"] > 0.9
    assert len(found["span_f1_interval"]) == 2
    assert set(found["per_class"]) == {"animal", "tool"}
    assert found["per_class"]["animal"]["support"] == 10
    assert document["against"]["tasks"]["things"]["metrics"]["span_f1"]["difference"] == 0
    for row in json_lines(errors.read_text()):
        if row["task"] == "things":
            assert all(row["text"][span["start"] : span["end"]] == span["text"] for span in [*row["label"], *row["predicted"]])
    matrix = found["word_confusion"]
    assert matrix["labels"] == ["O", "animal", "tool"]
    assert sum(map(sum, matrix["confusion"])) == found["words"]
    shown = typed("eval", "--model", run, "--confusion", "--output", tmp_path / "matrix.csv")
    assert "span F1" in shown.out
    assert "words by type" in shown.out
    assert "things,O,animal,tool" in (tmp_path / "matrix.csv").read_text()


def test_predict_gives_spans_with_their_places_in_one_pass(run: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    read = Encoder.read
    monkeypatch.setattr(Encoder, "read", lambda *arguments: (passes.append(1), read(*arguments))[1])
    texts = [f"  {SENTENCES[0]}", SENTENCES[41], "", " ".join(SENTENCES)]
    answer = typed("predict", "--model", run, *texts)
    assert answer.code == 0, answer.err
    assert len(passes) <= 2  # batches, of all heads together
    rows = json_lines(answer.out)
    for text, row in zip(texts, rows, strict=True):
        assert row["tasks"].keys() == {"kind", "state", "things"}
        for span in row["tasks"]["things"]["spans"]:
            assert text[span["start"] : span["end"]] == span["text"]
            assert 0 < span["probability"] <= 1
    assert rows[2]["tasks"]["things"]["spans"] == []
    second = rows[1]["tasks"]["things"]["spans"]
    assert [(span["text"], span["label"]) for span in second] == spans_of(tagged(SENTENCES[41]))
    fifths = {5 * span["start"] // len(texts[3]) for span in rows[3]["tasks"]["things"]["spans"]}
    assert fifths == {0, 1, 2, 3, 4}  # everywhere in a text that is longer than the model
    alone = typed("predict", "--model", run, "--task", "kind", *texts)
    for row, other in zip(rows, json_lines(alone.out), strict=True):
        assert row["tasks"]["kind"]["probability"] == pytest.approx(other["tasks"]["kind"]["probability"], abs=1e-5)


def test_predict_reads_words_and_python_takes_them(run: Path, things: Path, typed: Typed) -> None:
    answer = typed("predict", "--model", run, "--task", "things", "--input", f"{things / 'test.jsonl'}?tokens=words")
    assert answer.code == 0, answer.err
    rows = json_lines(answer.out)
    assert len(rows) == 20
    assert json_lines(typed("predict", "--model", run, "--task", "things", "--input", things / "test.jsonl").out) == rows
    texts = [row["text"] for row in rows]
    found = mtlkit.load(run).predict(texts, "things", words=[split_words(text) for text in texts])
    assert [row["things"]["spans"] for row in found] == [row["tasks"]["things"]["spans"] for row in rows]
    right = [
        [(span["text"], span["label"]) for span in row["tasks"]["things"]["spans"]] == spans_of(tagged(text))
        for row, text in zip(rows, SENTENCES[::4], strict=True)
    ]
    assert np.mean(right) > 0.8


def spans_of(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The spans of two words of a row."""
    starts = [place for place, tag in enumerate(row["tags"]) if tag.startswith("B-")]
    return [(" ".join(row["words"][start : start + 2]), row["tags"][start][2:]) for start in starts]


def test_a_terminal_marks_the_spans_in_the_text(run: Path, typed: Typed) -> None:
    answer = typed("predict", "--model", run, "The otter sleeps near the hill.", terminal=True, width=120)
    assert "[The otter animal] sleeps near the hill." in answer.out
    assert "\x1b[1;3" in answer.raw  # in colour


def test_everything_at_once_trains_words_with_texts(task: str, data: Path, mtl: Path, typed: Typed, tmp_path: Path) -> None:
    """A whole backbone, an old head that is watched, tags with learned transitions: texts and words in each step."""
    out = tmp_path / "run"
    tasks = ("--task", f"{task}&transitions=learned", "--task", f"state={data / 'state'}")
    more = ("--watch", f"kind={data / 'kind'}", "--guard", "ewc", "--schedule", "joint", "--micro-batch-tokens", 64)
    answer = typed("train-mtl", *tasks, "--init", mtl, "--out", out, *QUICK, *more, "--router")
    assert answer.code == 0, answer.err
    loaded = mtlkit.load(out)
    assert loaded.specs["things"].transitions == "learned"
    assert set(loaded.router) == {"state", "kind"}
    again = ("--task", f"new={data / 'state'}", "--watch", f"things={task.partition('=')[2]}", "--max-forgetting", 90)
    answer = typed("train-mtl", *again, "--init", out, "--out", tmp_path / "next", *QUICK)
    assert answer.code == 0, answer.err
    assert "things" in json.loads((tmp_path / "next" / "run.json").read_text())["data"]


@pytest.mark.slow
def test_baselines_compare_words_with_words(task: str, data: Path, mtl: Path, typed: Typed, tmp_path: Path) -> None:
    tasks = ("--task", task, "--task", f"state={data / 'state'}", "--schedule", "joint", "--baselines")
    answer = typed("train-mtl", *tasks, "--init", mtl, "--out", tmp_path / "run", *QUICK, "--epochs", 4)
    assert answer.code == 0, answer.err
    sharing = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["sharing"]
    own = next(found for found in sharing["tasks"] if found["task"] == "things")
    assert (own["metric"], own["rows"]) == ("span_f1", 20)
    assert 0 <= own["p"][0] <= 1


@pytest.mark.slow
def test_a_killed_training_resumes_bit_for_bit(
    task: str, data: Path, mtl: Path, typed: Typed, forks: Forks, tmp_path: Path
) -> None:
    tasks = ("--task", f"{task}&transitions=learned", "--task", f"state={data / 'state'}")
    command = ("train-mtl", *tasks, "--init", mtl, *QUICK, "--save-every", 1)
    check_resumes(5, typed, forks, command, tmp_path)


def test_plain_tags_have_an_accuracy(things: Path, mtl: Path, typed: Typed, tmp_path: Path) -> None:
    rows = [tagged(text) for text in SENTENCES]
    for row in rows:
        row["tags"] = [
            "NOUN" if tag.startswith("I-") else "DET" if word in ("The", "A", "the") else "X"
            for word, tag in zip(row["words"], row["tags"], strict=True)
        ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = f"{tmp_path / 'train.jsonl'}?tokens=words&tags=tags"
    answer = typed("train-mtl", "--task", f"pos={source}", "--init", mtl, "--freeze", "backbone", "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert "accuracy" in answer.err
    predicted = json_lines(typed("predict", "--model", tmp_path / "run", "--task", "pos", "The otter sleeps.").out)
    assert [word["text"] for word in predicted[0]["tasks"]["pos"]["tags"]][:2] == ["The", "otter"]
    assert predicted[0]["tasks"]["pos"]["tags"][0]["label"] == "DET"
    evaluated = json.loads(typed("eval", "--model", tmp_path / "run", "--split", "validation", "--json").out)["tasks"]["pos"]
    assert evaluated["accuracy"] > 0.7
    assert len(evaluated["confusion"]) == 3


def test_a_head_of_words_is_exported_in_a_quarter_of_the_bytes(task: str, typed: Typed, tmp_path: Path) -> None:
    out = tmp_path / "run"
    # mini: of the tiny models of tests, rounding changes the outputs too much
    mtlkit.train_mtl(task=[task], init="mini", freeze=["backbone"], solver="sgd", epochs=1, min_steps=0, out=out)
    compact = typed("export", out, "--format", "compact", tmp_path / "compact")
    assert compact.code == 0, compact.err
    words = "The otter sleeps."
    tags = [mtlkit.load(folder).predict([words], "things")[0]["things"] for folder in (out, tmp_path / "compact")]
    assert tags[0].keys() == tags[1].keys()


def test_other_commands_know_heads_of_words(run: Path, typed: Typed, tmp_path: Path) -> None:
    assert "tokens, bio tags" in typed("info", run, width=160).out
    assert "tokens, bio tags" in (run / "README.md").read_text()
    renamed = typed("heads", run, "--rename", "things=items", "--drop", "kind", "--out", tmp_path / "renamed")
    assert renamed.code == 0, renamed.err
    assert mtlkit.load(tmp_path / "renamed").predict(["The otter sleeps."], "items")[0]["items"]["spans"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train-mtl", "--few-shot"), "labels words"),
        (("train-sentence", "--objective", "labels"), "labels words"),
        (("train-mtl", "--router"), "labels words"),
        (("train-mtl", "--sampling", "balanced"), "a label for each word"),
    ],
)
def test_what_needs_labels_of_texts_refuses_words(
    arguments: tuple[str, ...], message: str, task: str, data: Path, mtl: Path, typed: Typed, tmp_path: Path
) -> None:
    answer = typed(*arguments, "--task", task, "--init", mtl, "--out", tmp_path / "run")
    assert answer.code == 2
    assert re.search(message, answer.err), answer.err


def test_data_with_words_that_is_typed_otherwise_is_answered_with_the_keys(typed: Typed, tmp_path: Path) -> None:
    files = {
        "a.jsonl": '{"tokens": ["Bob"], "ner_tags": ["B-PER"]}\n',
        "b.jsonl": '{"text": "Bob", "entities": [{"start": 0, "end": 3, "label": "PER"}]}\n',
        "c.txt": "Bob B-PER\nsleeps O\n\n",
    }
    ways = {"a.jsonl": "?tokens=tokens&tags=ner_tags", "b.jsonl": "?spans=entities", "c.txt": "?format=conll"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        answer = typed("check-data", "--task", f"ner={tmp_path / name}")
        assert answer.code == 3
        assert ways[name] in answer.err


def test_new_tags_are_refused_or_left_out(run: Path, things: Path, typed: Typed, tmp_path: Path) -> None:
    rows = [tagged(text) for text in SENTENCES[:20]]
    rows[3]["tags"][0] = "B-place"
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = f"things={tmp_path / 'train.jsonl'}?tokens=words&tags=tags"
    command = ("train-mtl", "--task", task, "--init", run, "--out", tmp_path / "run", *QUICK)
    asked = typed(*command)
    assert asked.code == 2
    assert "B-place" in asked.err
    assert typed(*command, "--new-classes", "drop").code == 0


def test_tags_of_another_scheme_train_a_head_in_its_own(run: Path, typed: Typed, tmp_path: Path) -> None:
    rows = [tagged(text) for text in SENTENCES[:20]]
    for row in rows:
        row["tags"] = [tag.replace("I-", "E-") for tag in row["tags"]]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = f"things={tmp_path / 'train.jsonl'}?tokens=words&tags=tags"
    command = ("train-mtl", "--task", task, "--init", run, "--out", tmp_path / "run", "--freeze", "backbone")
    answer = typed(*command)
    assert answer.code == 0, answer.err
    assert mtlkit.load(tmp_path / "run").specs["things"].labels == mtlkit.load(run).specs["things"].labels
    (tmp_path / "odd.jsonl").write_text(json.dumps({"words": ["A", "day"], "tags": ["B-date", "O"]}) + "\n")
    odd = typed("eval", "--model", run, "--task", f"things={tmp_path / 'odd.jsonl'}?tokens=words&tags=tags")
    assert (odd.code, "every text has a tag that the head does not know; data: 'B-date'" in odd.err) == (3, True)
    named = typed(*command[:2], f"{task}&scheme=bioes", *command[3:], "--overwrite", "--new-classes", "extend")
    assert (named.code, "has bio tags; omit it" in named.err) == (2, True)
    other = typed(*command[:2], f"{task}&transitions=learned", *command[3:], "--overwrite", "--new-classes", "extend")
    assert (other.code, "--new-classes extend: head 'things'" in other.err) == (2, True)


@pytest.mark.parametrize("frozen", [(), ("--freeze", "backbone")], ids=["stepwise", "solved"])
def test_new_tags_extend_a_head(frozen: tuple[str, ...], run: Path, things: Path, typed: Typed, tmp_path: Path) -> None:
    rows = [tagged(text) for text in SENTENCES]
    for row in rows[::2]:
        row["tags"][-1] = "B-place"
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = f"things={tmp_path / 'train.jsonl'}?tokens=words&tags=tags"
    command = ("train-mtl", "--task", task, "--init", run, "--out", tmp_path / "run", *QUICK, *frozen)
    answer = typed(*command, "--new-classes", "extend")
    assert answer.code == 0, answer.err
    old, new = (mtlkit.load(folder).specs["things"] for folder in (run, tmp_path / "run"))
    assert new.labels == (*old.labels, "B-place", "I-place")
    compared = re.search(r"old classes are compared with before on (\d+) rows", answer.err)
    assert compared  # texts of the validation rows without places
    assert 0 < int(compared[1]) < 20
    assert "things" in json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]["forgetting"]["metrics"]


def test_check_data_names_words_that_the_tokenizer_leaves_out(plain_peers: dict[str, Path], typed: Typed, tmp_path: Path) -> None:
    rows = [{"tokens": ["The", "\u0001", "otter"], "tags": ["O", "O", "B-animal"]}, tagged(SENTENCES[0]), tagged(SENTENCES[1])]
    rows = [{"tokens": row.get("tokens", row.get("words")), "tags": row["tags"]} for row in rows]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = f"ner={tmp_path / 'train.jsonl'}?tokens=tokens&tags=tags"
    answer = typed("check-data", "--task", source, "--model", plain_peers["bert"], "--json")
    assert answer.code == 0, answer.err
    (found,) = (finding for finding in json.loads(answer.out)["findings"] if finding["problem"] == "unread")
    assert found["rows"] == 1
    assert found["examples"][0]["places"][0].endswith("train.jsonl:1")


def test_a_training_counts_words_that_the_tokenizer_leaves_out(
    plain_peers: dict[str, Path], typed: Typed, tmp_path: Path
) -> None:
    rows = [{**row, "words": ["\u0001", *row["words"]], "tags": ["O", *row["tags"]]} for row in map(tagged, SENTENCES[:30])]
    rows += [tagged(text) for text in SENTENCES[30:]]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = f"ner={tmp_path / 'train.jsonl'}?tokens=words&tags=tags&scheme=plain"
    command = ("train-mtl", "--task", task, "--init", plain_peers["bert"], "--freeze", "backbone")
    answer = typed(*command, "--out", tmp_path / "run")
    assert answer.code == 0, answer.err
    assert re.search(r"ner: 30 of \d+ words without a token", answer.err)
    spec = mtlkit.load(tmp_path / "run").specs["ner"]
    assert (spec.tags, set(spec.labels)) == ("plain", {"O", "B-animal", "I-animal", "B-tool", "I-tool"})
    again = typed(*command, "--out", tmp_path / "again")  # tokens from the cache
    assert "30 of" in again.err
    evaluated = json.loads(typed("eval", "--model", tmp_path / "run", "--split", "validation", "--json").out)
    assert "accuracy" in evaluated["tasks"]["ner"]


def test_check_data_counts_words_and_tags(things: Path, task: str, typed: Typed) -> None:
    shown = typed("check-data", "--task", task, width=120)
    assert shown.code == 0, shown.err
    assert "words of 5 tags" in shown.out
    assert re.search(r"\d+ spans of 2 types", shown.out)
    assert "tokens=words, tags=tags (tokens)" in shown.err
    document = json.loads(typed("check-data", "--task", task, "--json").out)
    (summary,) = document["tasks"]
    assert summary["kind"] == "tokens"
    assert summary["splits"][0]["words"] > 300
    assert set(summary["splits"][0]["spans"]) == {"animal", "tool"}
    assert not {finding["problem"] for finding in document["findings"]} & {"skew", "rare", "sorted", "one class", "cut"}
