from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import notes, options, rows_of, write

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.inference import compute
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import load_weights
from mtlkit.inference.scope.file import SCOPE
from mtlkit.model.digest import digest_of
from mtlkit.recipes.inputs.command_line import plain
from mtlkit.recipes.train_mtl import stream, train_mtl
from mtlkit.runs.record import file_digest, verify
from mtlkit.training.events import Epoch, Finished, Forgetting, Note, Parts, Progress
from mtlkit.training.freezing.apply import digest


def test_events_describe_the_whole_training(data: Path, runs: Path, tmp_path: Path) -> None:
    events = list(stream(options(data, tmp_path / "run", "kind", "state", init=str(runs / "sentence"))))
    kinds = [type(event) for event in events]
    assert kinds[0] is Note
    said = notes(events)
    assert said.startswith(f"starting from {runs / 'sentence'}, as specified\nkind: text=text, label=label (classification)")
    assert "kind: 58 rows to train on, 6 to validate" in said
    assert kinds.count(Parts) == 2
    assert [event.epoch for event in events if isinstance(event, Epoch)] == [0, 1, 2]  # the start has a head for `kind`
    assert kinds.count(Forgetting) == 1
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.run, finished.next_command) == (tmp_path / "run", f"mtlkit eval --confusion --model {tmp_path / 'run'}")
    steps = [event for event in events if isinstance(event, Progress)]
    assert [step.step for step in steps] == list(range(1, steps[-1].steps + 1))
    best = [event for event in events if isinstance(event, Epoch) and event.best][-1]
    assert finished.metrics["best_epoch"] == best.epoch
    assert finished.metrics["score"] == best.score
    for state in best.tasks:
        scores = dict(finished.metrics["validation"][state.task])
        low, high = scores.pop("accuracy_interval")
        assert (scores, low <= scores["accuracy"] <= high) == (state.validation, True)


def test_bf16_on_a_processor_without_such_products_is_said_to_be_slow(
    data: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "lacks_bf16", lambda: True)
    asked = options(data, tmp_path / "run", "kind", init=str(runs / "sentence"), precision="bf16")
    assert "\n--precision bf16 is slower than fp32 on this processor" in notes(list(stream(asked)))


def test_the_record_holds_what_it_takes_to_repeat_the_run(data: Path, runs: Path, tmp_path: Path) -> None:
    asked = options(data, tmp_path / "run", "kind", "state", init=str(runs / "sentence"), seed=3, freeze=["none"])
    finished = train_mtl(asked)
    record = verify(finished.run)
    resolved = {"accumulate": 1, "learning_rate": 3e-4, "optimizer": "adamw"}  # not only what was typed
    assert record.options == json.loads(json.dumps(plain(asked))) | resolved
    assert "--learning-rate" not in record.command
    assert record.seed == 3
    assert record.command.startswith("mtlkit train-mtl --")
    assert record.metrics == finished.metrics
    assert record.parent == {"path": str(runs / "sentence"), "digest": digest_of(runs / "sentence")}
    assert record.stage == "mtl"
    assert {"python", "torch", "mtlkit"} <= record.versions.keys()
    files = {path.name for path in finished.run.iterdir()} - {"run.json"}
    assert record.files == {name: file_digest(finished.run / name) for name in files}
    assert files == {"README.md", "config.json", "metrics.jsonl", "model.safetensors", "tokenizer.json", SCOPE}  # no pickle
    assert list(record.data) == ["kind", "state"]
    for name, found in record.data.items():
        assert found["source"] == str(data / name)
        assert (found["train"]["rows"], found["validation"]["rows"]) == (58, 6)
        assert len(found["train"]["sha256"]) == 64


def test_the_same_options_give_the_same_weights(data: Path, runs: Path, tmp_path: Path) -> None:
    made = [
        train_mtl(options(data, tmp_path / name, "kind", "state", init=str(runs / "sentence"), seed=seed, dropout=0.2)).run
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    weights = [file_digest(run / "model.safetensors") for run in made]
    assert weights[0] == weights[1] != weights[2]


def test_the_fingerprint_of_the_data_changes_with_a_text_or_a_label(runs: Path, data: Path, tmp_path: Path) -> None:
    rows = rows_of(data / "kind" / "train.csv")
    found = []
    for number, change in enumerate((None, (5, 0, "Another text."), (5, 1, "tool"))):
        changed = [list(row) for row in rows]
        if change:
            changed[change[0]][change[1]] = change[2]
        folder = write(tmp_path / f"data{number}" / "train.csv", changed).parent
        run = train_mtl(
            TrainMtlOptions(
                task=[f"kind={folder}"], init=str(runs / "mtl"), freeze=["backbone"], epochs=1, out=tmp_path / f"run{number}"
            )
        ).run
        data_of_run = verify(run).data["kind"]
        found.append(data_of_run["train"]["sha256"] + data_of_run["validation"]["sha256"])
    assert len(set(found)) == 3


def test_numbers_and_lists_are_learned(odd_run: Path) -> None:
    record = verify(odd_run)
    assert set(record.metrics["validation"]["stars"]) - {"undefined"} == {"loss", "pearson", "spearman", "mse"}
    assert set(record.metrics["validation"]["tags"]) - {"undefined"} == {"loss", "accuracy", "macro_f1", "micro_f1"}
    specs = {task.name: task for task in load(odd_run).checkpoint.tasks}
    assert (specs["stars"].kind, specs["stars"].labels, specs["stars"].head) == ("regression", (), "mlp:16")
    assert 2.5 < specs["stars"].center < 4
    assert (specs["tags"].kind, specs["tags"].labels) == ("multi-label", ("[/]", "animal", "far"))


def test_heads_whose_data_is_not_given_are_kept_as_they_are(odd_run: Path, runs: Path) -> None:
    before, after = load_weights(runs / "mtl"), load_weights(odd_run)
    assert tuple(after.model.tasks) == ("kind", "state", "stars", "tags")
    for name in ("kind", "state"):
        assert digest(after.model.head(name).state_dict()) == digest(before.model.head(name).state_dict())
        assert after.model.head(name).spec == before.model.head(name).spec
    assert digest(after.model.backbone.state_dict()) != digest(before.model.backbone.state_dict())
    assert list(verify(odd_run).data) == ["stars", "tags"]


def test_kept_heads_are_reported_and_unchanged_above_a_frozen_backbone(odd_data: Path, runs: Path, tmp_path: Path) -> None:
    asked = options(odd_data, tmp_path / "run", "stars", init=str(runs / "mtl"), freeze=["backbone"])
    events = list(stream(asked))
    assert "not trained (no data given): head:kind, head:state" in notes(events)
    texts = ["The cat sleeps near the river.", "A saw lies broken on the shelf.", ""]
    before, after = load(runs / "mtl"), load(tmp_path / "run")
    np.testing.assert_array_equal(after.embed(texts), before.embed(texts))
    assert after.predict(texts, "kind") == before.predict(texts, "kind")


def test_a_frozen_part_is_unchanged_although_weights_decay(data: Path, runs: Path, tmp_path: Path) -> None:  # fault 18
    before = load_weights(runs / "mtl")
    asked = options(data, tmp_path / "run", "kind", "state", init=str(runs / "mtl"), freeze=["head:kind"], weight_decay=0.5)
    events = list(stream(asked))
    after = load_weights(tmp_path / "run")
    assert digest(after.model.head("kind").state_dict()) == digest(before.model.head("kind").state_dict())
    assert digest(after.model.head("state").state_dict()) != digest(before.model.head("state").state_dict())
    assert digest(after.model.backbone.state_dict()) != digest(before.model.backbone.state_dict())
    (final,) = [event for event in events if isinstance(event, Parts) and any(part.after for part in event.parts)]
    shown = {part.name: (part.before, part.after) for part in final.parts}
    weights = {name: weight for name, weight in before.model.state_dict().items() if name.startswith("heads.kind.")}
    assert shown["head:kind"] == (digest(weights),) * 2
    watched = [state for event in events if isinstance(event, Epoch) for state in event.tasks if state.task == "kind"]
    assert [(state.watched, state.train_loss, state.batches) for state in watched] == [(True, None, 0)] * 3


def test_cap_cuts_the_larger_task(data: Path, odd_data: Path, runs: Path, tmp_path: Path) -> None:
    tasks = [f"kind={data / 'kind'}?limit=30", f"stars={odd_data / 'stars'}"]
    asked = TrainMtlOptions(
        task=tasks, init=str(runs / "mtl"), cap="shortest", freeze=["backbone"], epochs=1, out=tmp_path / "run"
    )
    assert "stars: 27 rows to train on, " in notes(list(stream(asked)))


def test_training_from_scratch_makes_its_own_tokenizer(data: Path, tmp_path: Path) -> None:
    asked = options(
        data, tmp_path / "run", "kind", init="scratch", layers=1, dim=16, heads=2, vocab_size=300, max_length=24, truncate="tail"
    )
    train_mtl(asked)
    made = load(tmp_path / "run")
    assert made.record.parent is None
    shape = made.checkpoint.architecture
    assert (shape.layers, shape.dim, shape.heads, shape.max_length, shape.attention) == (1, 16, 2, 24, "bidirectional")
    assert (made.checkpoint.encoding.max_length, made.checkpoint.encoding.truncate) == (24, "tail")
    assert made.encoder.tokenizer.get_vocab_size() <= 300


def test_options_that_the_start_cannot_carry_are_refused(data: Path, runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--max-length 64: .*sentence has 32 positions; give at most 32"):
        train_mtl(options(data, tmp_path / "run", "kind", init=str(runs / "sentence"), max_length=64))
    with pytest.raises(UsageError, match="task 'kind' is repeated"):
        train_mtl(options(data, tmp_path / "run", "kind", "kind", init=str(runs / "sentence")))
    with pytest.raises(UsageError, match=r"no task.* --task NAME=SOURCE"):
        train_mtl(options(data, tmp_path / "run", init=str(runs / "sentence")))
    with pytest.raises(UsageError, match="--dim 30 is not a multiple of --heads 4"):
        train_mtl(TrainMtlOptions(task=["a=none.csv"], init="scratch", dim=30, heads=4, out=tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


def test_the_attention_of_the_start_stays_unless_asked_otherwise(data: Path, runs: Path, tmp_path: Path) -> None:
    assert load(runs / "pretrain").checkpoint.architecture.attention == "causal"
    assert load(runs / "sentence").checkpoint.architecture.attention == "bidirectional"
    common = {"epochs": 1, "freeze": ["backbone"]}
    train_mtl(options(data, tmp_path / "a", "kind", init=str(runs / "pretrain"), **common))
    train_mtl(options(data, tmp_path / "b", "kind", init=str(runs / "pretrain"), attention="bidirectional", **common))
    attention = [load(tmp_path / name).checkpoint.architecture.attention for name in ("a", "b")]
    assert attention == ["causal", "bidirectional"]


def test_data_that_cannot_be_read_leaves_no_run(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("text,label\na,x\nb\n")
    with pytest.raises(DataError, match=r"bad\.csv:3: 1 field, but the header has 2; fix it, or skip such rows"):  # fault 20
        train_mtl(TrainMtlOptions(task=[f"a={tmp_path / 'bad.csv'}"], init=str(runs / "mtl"), out=tmp_path / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_skipped_rows_are_counted(data: Path, runs: Path, tmp_path: Path) -> None:  # fault 19
    rows = rows_of(data / "kind" / "train.csv")
    source = write(tmp_path / "kind.csv", [*rows, ["one", "field", "too many"], ["one too few"]])
    asked = TrainMtlOptions(task=[f"kind={source}"], init=str(runs / "mtl"), on_bad_row="skip", epochs=1, out=tmp_path / "run")
    assert "2 rows skipped, such as " in notes(list(stream(asked)))
    assert f"{source}:66: 3 fields, but the header has 2" in notes(
        list(stream(TrainMtlOptions(**{**vars(asked), "overwrite": True})))
    )


def test_a_wide_start_is_trained_with_a_smaller_rate(data: Path, tmp_path: Path) -> None:
    wide = {"layers": 1, "dim": 512, "heads": 2, "vocab_size": 300, "max_length": 16}
    train_mtl(options(data, tmp_path / "wide", "kind", init="scratch", **wide))
    asked = options(data, tmp_path / "run", "kind", init=str(tmp_path / "wide"))
    events = list(stream(asked))
    assert "learning rate 7.5e-05, for a model of width 512; --learning-rate changes it" in notes(events)
    record = verify(tmp_path / "run")
    assert record.options["learning_rate"] == 7.5e-5
    assert "--learning-rate 7.5e-05" in record.command  # repeats the run, whatever the defaults will be
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(line["learning_rate"] for line in lines if "learning_rate" in line) == pytest.approx(7.5e-5)
    again = list(stream(replace(asked, resume=tmp_path / "run", out=None, overwrite=False)))
    assert isinstance(again[-1], Finished)
