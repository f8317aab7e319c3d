"""Small sound inputs of every kind, to be damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from peers import write_peer

from mtlkit.config.architecture import Architecture, Encoding, TaskSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.inference.load_weights import LoadedWeights
from mtlkit.model.checkpoint import save_model
from mtlkit.model.description import ModelDescription, write_checkpoint
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.head_files import write_heads
from mtlkit.model.interop.writing import write_foreign
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.exporting.tokenizer_facts import tokenizer_facts
from mtlkit.runs.checkpoint_files import MANIFEST, TENSORS, VALUES, _manifest, step_of
from mtlkit.runs.checkpoints import CheckpointManager
from mtlkit.runs.record import GRAPH, LOG, RunRecord, file_digest
from mtlkit.runs.staging import finish

TEXTS = ["The cat sleeps near the river.", "A saw lies on the bench.", "Ελλάς 日本 🦦", "", 'One, "two"\nthree']
TOML = """seed = 3
task = ["kind=sample:topic", "state=data/state"]
epochs = 2
learning-rate = 3e-4
freeze = "backbone"
overwrite = true
head = "mlp:16"
runs = "runs"
"""


def tiny() -> tuple[MultiTaskModel, TextEncoder]:
    torch.manual_seed(0)
    encoder = TextEncoder(train_tokenizer(TEXTS * 20, 300), Encoding(32))
    tasks = [
        TaskSpec("topic", "classification", ("animal", "tool")),
        TaskSpec("tags", "multi-label", ("a", "b", "c"), "mlp:16"),
        TaskSpec("stars", "regression", (), center=3.0, spread=1.5),
    ]
    shape = Architecture(encoder.tokenizer.get_vocab_size(), 2, 16, 2, 32, "bidirectional", pooling="weighted")
    return MultiTaskModel(Encoder(shape), tasks, ("topic", "tags")).eval(), encoder


def write_run(folder: Path, *, compact: bool = False, sources: Mapping[str, SourceRecord] | None = None) -> None:
    model, encoder = tiny()
    inside = folder.with_name("staged")
    inside.mkdir()
    save_model(model, inside, "mtl", encoder.encoding, compact=compact, sources=sources)
    encoder.tokenizer.save(str(inside / "tokenizer.json"))
    folder.rmdir()
    finish(inside, folder, RunRecord("mtl", "mtlkit train-mtl", {"epochs": 1}, 0, {"topic": {"source": "a.csv"}}, {}))


def write_export(folder: Path) -> None:
    model, encoder = tiny()
    weights = LoadedWeights(model, None, encoder, None)  # type: ignore[arg-type]
    object.__setattr__(weights, "checkpoint", _Described(model.backbone.architecture))
    write_foreign(folder, model.backbone, encoder.encoding, tokenizer_facts(weights))
    write_heads(folder, model)
    encoder.tokenizer.save(str(folder / "tokenizer.json"))


@dataclass(frozen=True)
class _Described:
    architecture: Architecture


def write_bert(folder: Path) -> None:
    write_peer("bert", folder, TEXTS * 10)
    modules = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
    modules += [{"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 32}))


def write_log(folder: Path) -> None:
    lines = [{"step": 1, "losses": {"topic": 0.7}, "gradient_norm": 1.0}, {"step": 2, "losses": {"topic": 0.5, "guard:x": 0.1}}]
    state = {"task": "topic", "kind": "classification", "validation": {"loss": 0.6, "accuracy": 0.5}}
    content = "\n".join(json.dumps(line) for line in [*lines, {"step": 2, "epoch": 1, "tasks": [state]}] * 4)
    (folder / "metrics.jsonl").write_text(content + "\n")


def write_toml(folder: Path) -> None:
    (folder / "options.toml").write_text(TOML)


def write_state(folder: Path) -> None:
    states = CheckpointManager(folder)
    with states.lock("mtlkit train-mtl"):
        for step in (1, 2):
            with states.log.open("a") as log:
                log.write(json.dumps({"step": step, "losses": {"topic": 0.7}}) + "\n")
            tensors = {"weight": torch.arange(12.0).view(3, 4), "seen": torch.arange(5)}
            states.save(step, tensors, {"epoch": 0, "rates": [0.1, None]})


def seal_run(folder: Path) -> None:
    """Makes the digests in a record fit the files as they are."""
    record = json.loads((folder / "run.json").read_bytes())
    record["files"] = {name: file_digest(folder / name) for name in record["files"]}
    (folder / "run.json").write_text(json.dumps(record))


def seal_state(folder: Path) -> None:
    """The same for the manifests of saved states."""
    for checkpoint in (folder / "state").glob("step-*"):
        manifest = _manifest(step_of(checkpoint), [checkpoint / TENSORS, checkpoint / VALUES], folder / "state" / LOG)
        (checkpoint / MANIFEST).write_text(json.dumps(manifest))


def write_graph(folder: Path) -> None:
    """An ONNX export: its graph is the mean of embeddings, and a head on it."""
    from onnx import TensorProto, helper, numpy_helper, save

    model, encoder = tiny()
    table = model.backbone.tokens.weight.detach().numpy()
    ids, mask = (helper.make_tensor_value_info(name, TensorProto.INT64, ["N", "L"]) for name in ("input_ids", "attention_mask"))
    outputs = {"vector": table.shape[1], "head:topic": 2, "head:tags": 3, "head:stars": 1, "router": 2}
    weights = [numpy_helper.from_array(table, "table")]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        helper.make_node("ReduceMean", ["states"], ["vector"], axes=[1], keepdims=0),
    ]
    for name, width in list(outputs.items())[1:]:
        weights.append(numpy_helper.from_array(table[: table.shape[1], :width].copy(), f"weight of {name}"))
        nodes.append(helper.make_node("MatMul", ["vector", f"weight of {name}"], [name]))
    outputs_info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name, width in outputs.items()]
    graph = helper.make_graph(nodes, "export", [ids, mask], outputs_info, weights)
    inside = folder.with_name("staged")
    inside.mkdir()
    write_checkpoint(inside, ModelDescription("mtl", model.backbone.architecture, encoder.encoding, tuple(model.tasks.values())))
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(inside / GRAPH))
    encoder.tokenizer.save(str(inside / "tokenizer.json"))
    folder.rmdir()
    finish(inside, folder, RunRecord("mtl", "mtlkit export", {}, 0, {}, {}))
