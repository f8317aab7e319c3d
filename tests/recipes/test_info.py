from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from exports import Export, needs_onnx

from mtlkit.config.commands.run_commands import InfoOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.find_model import mini_folder
from mtlkit.inference.scope.file import SCOPE
from mtlkit.model.checkpoint import load_model
from mtlkit.model.digest import digest_of
from mtlkit.recipes.info import info
from mtlkit.report.run_facts import RunFacts
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import RECORD, read_record
from mtlkit.training.freezing.parse import parse_freeze


@pytest.fixture
def own(runs: Path, tmp_path: Path) -> Path:
    """A copy of the runs whose records name their parents as `runs/NAME`, with digests to match."""
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder, ignore=shutil.ignore_patterns(".*"))
    for child, parent in (("sentence", "pretrain"), ("mtl", "sentence")):
        edit(folder / child, parent={"path": f"runs/{parent}", "digest": digest_of(folder / parent)})
    return folder


def edit(run: Path, **values: Any) -> None:
    record = json.loads((run / RECORD).read_text())
    (run / RECORD).write_text(json.dumps(record | values))


def of(run: Path) -> RunFacts:
    return info(InfoOptions(run=run))


def test_the_newest_run_is_taken_as_other_commands_take_it(own: Path, tmp_path: Path) -> None:
    names = []
    for name in ("mtl", "sentence", "pretrain"):
        names.append(info(InfoOptions(runs=own)).path.name)
        shutil.rmtree(own / name)
    assert names == ["mtl", "sentence", "pretrain"]
    assert info(InfoOptions(runs=own)).path == info(InfoOptions(run=Path("mini"))).path == mini_folder()


def test_a_run_that_is_whole(own: Path) -> None:
    facts = of(own / "mtl")
    assert (facts.kind, facts.problems, facts.unlisted, facts.exports, facts.state) == ("run", (), (), (), None)
    assert facts.record == read_record(own / "mtl")
    assert [file.name for file in facts.files] == list(facts.record.files)
    assert {file.condition for file in facts.files} == {"ok"}
    assert all(file.size == (own / "mtl" / file.name).stat().st_size and file.found == file.recorded for file in facts.files)
    assert facts.installed == facts.record.versions


def test_parts_are_those_of_the_model(own: Path) -> None:
    facts = of(own / "mtl")
    model, checkpoint = load_model(own / "mtl")
    assert facts.checkpoint == checkpoint
    assert [part.name for part in facts.parts] == ["embeddings", "layers:0", "layers:1", "pooling", "head:kind", "head:state"]
    assert facts.parameters == sum(weight.numel() for weight in model.parameters())
    block = model.backbone.blocks[1]
    assert facts.parts[2].parameters == sum(weight.numel() for weight in block.parameters())
    assert {part.stored for part in facts.parts} == {("F32",)}
    names = [part.name for part in facts.parts]
    assert parse_freeze(names, None, [name for name, _ in model.named_parameters()], ["kind", "state"], (1, 1)).always


@pytest.mark.parametrize("kind", ["bidirectional", "bert", "weighted"])
def test_an_export_for_sentence_transformers(sources: dict[str, Path], exported: Export, kind: str) -> None:
    run, facts = of(sources[kind]), of(exported(kind, "sentence-transformers").out)
    assert facts.kind == "sentence-transformers export"
    assert facts.problems == facts.unlisted == ()
    assert facts.checkpoint is not None
    assert run.checkpoint is not None
    assert facts.checkpoint.tasks == run.checkpoint.tasks
    sizes = {part.name: part.parameters for part in facts.parts}
    same = [part for part in run.parts if part.name.startswith(("layers", "head"))]
    assert {part.name: part.parameters for part in same} == {part.name: sizes[part.name] for part in same}
    assert facts.lineage[0].condition == "same"
    assert facts.lineage[0].place == str(sources[kind])


def test_a_compact_export(sources: dict[str, Path], exported: Export) -> None:
    run, facts = of(sources["bidirectional"]), of(exported("bidirectional", "compact").out)
    assert (facts.kind, facts.problems) == ("compact export", ())
    assert [(part.name, part.parameters, part.tensors) for part in facts.parts] == [
        (part.name, part.parameters, part.tensors) for part in run.parts
    ]
    assert facts.parts[1].stored == ("F16", "I8")


@needs_onnx
def test_an_onnx_export_has_its_weights_in_the_graph(exported: Export) -> None:
    facts = of(exported("bidirectional", "onnx").out)
    assert (facts.kind, facts.problems, facts.parts) == ("onnx export", (), ())
    assert facts.checkpoint is not None


def test_files_that_are_not_what_was_written(own: Path) -> None:
    run = own / "mtl"
    weights = (run / "model.safetensors").read_bytes()
    (run / "model.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    (run / "tokenizer.json").unlink()
    (run / "config.json").write_text("<!DOCTYPE html>")
    facts = of(run)
    found = {file.name: file.condition for file in facts.files}
    assert {name for name, condition in found.items() if condition == "ok"} == {"README.md", "metrics.jsonl", SCOPE}
    assert (found["model.safetensors"], found["tokenizer.json"], found["config.json"]) == ("damaged", "missing", "damaged")
    assert len(facts.problems) == 3
    assert any(text.startswith(f"{run / 'tokenizer.json'}: missing") for text in facts.problems)
    assert any("an HTML page" in text for text in facts.problems)
    assert facts.checkpoint is None
    assert facts.parts  # the head of the weights can still be read


def test_weights_that_cannot_be_read_are_one_problem(own: Path) -> None:
    (own / "mtl" / "model.safetensors").write_bytes(b"nothing")
    facts = of(own / "mtl")
    assert facts.parts == ()
    assert len(facts.problems) == 1


def test_what_the_record_does_not_list(own: Path) -> None:
    run = own / "mtl"
    (run / "notes").mkdir()
    (run / "notes" / "a.txt").touch()
    (run / "state").mkdir()
    (run / "state" / "lock").touch()
    shutil.copytree(own / "sentence", run / "compact")
    facts = of(run)
    assert facts.unlisted == ("notes/a.txt",)
    assert facts.exports == ("compact",)
    assert facts.problems == ()


def test_lineage_is_followed_to_where_it_begins(own: Path) -> None:
    facts = of(own / "mtl")
    assert [(one.path, one.depth, one.condition, one.stage) for one in facts.lineage] == [
        ("runs/sentence", 1, "same", "sentence"),
        ("runs/pretrain", 2, "same", "base"),
    ]
    assert facts.lineage[0].found == facts.lineage[0].recorded == digest_of(own / "sentence")


def test_a_parent_that_changed_and_one_that_is_gone(own: Path) -> None:
    with (own / "sentence" / RECORD).open("a") as file:
        file.write("\n")
    shutil.rmtree(own / "pretrain")
    above, first = of(own / "mtl").lineage
    assert (above.condition, above.found) == ("changed", digest_of(own / "sentence"))
    assert above.found != above.recorded
    assert (first.condition, first.found, first.place, first.stage) == ("gone", None, None, "")
    assert of(own / "mtl").problems == ()  # nothing of the run itself is wrong


def test_a_run_that_took_the_place_of_its_parent_ends(own: Path) -> None:
    edit(own / "mtl", parent={"path": "runs/mtl", "digest": "0" * 64})
    (only,) = of(own / "mtl").lineage
    assert (only.path, only.condition) == ("runs/mtl", "changed")


def test_the_parent_with_the_digest_comes_before_one_with_the_name(own: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(own, elsewhere / "runs")
    edit(elsewhere / "runs" / "sentence", seed=5)  # nearer, but another
    above = of(elsewhere / "runs" / "mtl").lineage[0]
    assert (above.condition, above.place) == ("same", str(own / "sentence"))


def test_a_teacher_is_lineage_too() -> None:
    above = of(mini_folder()).lineage
    assert {(one.role, one.depth) for one in above} == {("parent", 1), ("teacher", 1)}


def test_versions_of_then_and_now(own: Path) -> None:
    edit(own / "mtl", versions={"torch": "1.0", "no-such-package": "2.0"})
    facts = of(own / "mtl")
    assert facts.installed["torch"] == torch.__version__
    assert facts.installed["no-such-package"] is None
    versions = facts.to_json()["versions"]
    assert versions["torch"] == {"recorded": "1.0", "installed": torch.__version__}
    assert versions["numpy"]["recorded"] is None


def test_folder_that_is_not_a_run_is_refused_with_advice(own: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"no such folder; runs: .*did you mean '{own / 'mtl'}'\?"):
        info(InfoOptions(run=own / "mlt", runs=own))
    with pytest.raises(UsageError, match=r"^run someone/model: no such folder"):  # the hub is not asked
        info(InfoOptions(run=Path("someone/model"), runs=own))
    with pytest.raises(UsageError, match=f"^{own} is not a run"):
        of(own)
    with pytest.raises(IntegrityError, match="folder of a model"):
        of(own / "mtl" / RECORD)


def test_a_training_before_its_first_save(tmp_path: Path) -> None:
    out = tmp_path / "mtl"
    with CheckpointManager(out).lock("mtlkit train-mtl"):
        facts = of(out)
    assert facts.kind == "unfinished training, no checkpoint saved yet"
    assert (facts.record, facts.state, facts.problems) == (None, None, ())


@pytest.mark.parametrize("values", [{"files": []}, {"files": {"a": 1}}, {"metrics": None}, {"command": ["a"]}, {"data": "x"}])
def test_a_record_that_is_damaged(own: Path, values: dict[str, Any]) -> None:
    edit(own / "mtl", **values)
    with pytest.raises(IntegrityError, match=rf"^{own / 'mtl' / RECORD}: damaged \(field '{next(iter(values))}"):
        of(own / "mtl")


def test_a_training_that_is_not_finished(tmp_path: Path) -> None:
    states = CheckpointManager(tmp_path / "mtl")
    with states.lock("mtlkit train-mtl"):
        for step in (10, 20):
            states.save(step, {"weight": torch.zeros(2)}, {"about": {"command": "train-mtl", "step": step}})
    facts = of(tmp_path / "mtl")
    assert (facts.kind, facts.record, facts.problems) == ("unfinished training", None, ())
    assert facts.state == {"steps": [10, 20], "about": {"command": "train-mtl", "step": 20}}
    for manifest in tmp_path.rglob("manifest.json"):
        manifest.write_text("{}")
    damaged = of(tmp_path / "mtl")
    assert damaged.state == {"steps": [10, 20], "about": None}
    assert damaged.problems[0].startswith(f"{tmp_path / 'mtl' / 'state'}: no checkpoint is valid")


def test_a_finished_run_with_a_state(own: Path) -> None:
    states = CheckpointManager(own / "mtl")
    with states.lock("mtlkit train-mtl"):
        states.save(10, {"weight": torch.zeros(2)}, {"about": {"step": 10}})
    facts = of(own / "mtl")
    assert (facts.kind, facts.unlisted, facts.problems) == ("run", (), ())
    assert facts.state == {"steps": [10], "about": {"step": 10}}


def test_json_has_all_of_it(own: Path) -> None:
    document = json.loads(json.dumps(of(own / "mtl").to_json()))
    record = json.loads((own / "mtl" / RECORD).read_text())
    assert {key: document[key] for key in ("stage", "command", "finished", "seed", "options", "data", "metrics")} == {
        key: record[key] for key in ("stage", "command", "finished", "seed", "options", "data", "metrics")
    }
    assert [task["name"] for task in document["tasks"]] == ["kind", "state"]
    assert document["model"]["architecture"]["layers"] == 2
    assert [file["recorded"] for file in document["files"]] == list(record["files"].values())
