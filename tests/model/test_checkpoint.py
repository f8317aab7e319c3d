from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mtlkit.config.architecture import Architecture, Encoding, TaskSpec
from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import IntegrityError
from mtlkit.model.checkpoint import load_model, save_model
from mtlkit.model.description import FORMAT, WITHOUT_ADAPTERS, ModelDescription, read_checkpoint
from mtlkit.model.multitask import MultiTaskModel

TEXTS = ["A cat sleeps near the river.", "", "The drill lies broken on the bench.", "cat"]


def test_a_model_loaded_again_gives_the_very_same_outputs(
    tiny_model: MultiTaskModel, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    save_model(tiny_model, tmp_path, "mtl", text_encoder.encoding)
    loaded, checkpoint = load_model(tmp_path)
    batch = text_encoder.encode(TEXTS).batch(range(len(TEXTS)))
    with torch.no_grad():
        for task in tiny_model.tasks:
            assert torch.equal(loaded(batch, task), tiny_model(batch, task))
    assert loaded.tasks == tiny_model.tasks
    assert checkpoint.architecture == tiny_model.backbone.architecture
    assert not loaded.training
    assert all(weight.requires_grad and weight.device.type == "cpu" for weight in loaded.parameters())


def test_a_loaded_model_can_be_saved_again_and_the_files_are_equal(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, model in ((first, lambda: tiny_model), (second, lambda: load_model(first)[0])):
        folder.mkdir()
        save_model(model(), folder, "mtl", Encoding(32))
    for name in ("config.json", "model.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize("attention", ["causal", "bidirectional"])
def test_the_configuration_survives_the_way_through_json(attention: Any) -> None:
    checkpoint = ModelDescription(
        "sentence",
        Architecture(8192, 4, 256, 4, 128, attention, 0.2),
        Encoding(100, "tail"),
        (
            TaskSpec("type", "classification", ("Größe", "[/]", "\x1b[31m", "NA", ""), "mlp:16,8"),
            TaskSpec("stars", "regression", (), center=-0.1, spread=1 / 3),
            TaskSpec("tags", "multi-label", ("a",)),
        ),
    )
    assert ModelDescription.from_json(json.loads(json.dumps(checkpoint.to_json()))) == checkpoint
    assert checkpoint.to_json()["format"] == WITHOUT_ADAPTERS


def test_earlier_versions_refuse_a_model_with_adapters() -> None:
    spec = TaskSpec("topic", "classification", ("a", "b"))
    adapters = {"topic": AdapterSpec("lora", 8, 16.0, 1, 3)}
    architecture = Architecture(8192, 4, 256, 4, 128)
    checkpoint = ModelDescription("mtl", architecture, Encoding(100), (spec,), adapters=adapters)
    assert ModelDescription.from_json(json.loads(json.dumps(checkpoint.to_json()))) == checkpoint
    assert checkpoint.to_json()["format"] == FORMAT
    for wrong in ({"mood": adapters["topic"]}, {"topic": AdapterSpec("lora", 8, 16.0, 1, 4)}):
        with pytest.raises(ValueError, match="adapter"):
            ModelDescription("mtl", architecture, Encoding(100), (spec,), adapters=wrong)


def test_only_json_and_safetensors_are_written(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "run.json"}
    for name in names - {"model.safetensors"}:
        json.loads((run / name).read_text(encoding="utf-8"))
    size = int.from_bytes((run / "model.safetensors").read_bytes()[:8], "little")
    header = json.loads((run / "model.safetensors").read_bytes()[8 : 8 + size])
    assert all(entry["dtype"] == "F32" for name, entry in header.items() if name != "__metadata__")
    with safe_open(run / "model.safetensors", framework="np") as file:
        assert "backbone.tokens.weight" in file.keys()  # noqa: SIM118 (it is no mapping)
        assert "heads.tags.layers.1.weight" in file.keys()  # noqa: SIM118


def test_weights_of_another_shape_do_not_fit(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["architecture"]["vocab_size"] += 1
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(IntegrityError, match=r"weights do not fit config\.json .*backbone\.tokens\.weight"):
        load_model(run)


@pytest.mark.parametrize("change", ["Missing", "Unexpected"])
def test_weights_too_few_or_too_many_do_not_fit(run: Path, change: str) -> None:
    weights = load_file(run / "model.safetensors")
    if change == "Missing":
        del weights["heads.tags.layers.1.bias"]
    else:
        weights["heads.more.layers.1.bias"] = torch.zeros(3)
    save_file(weights, run / "model.safetensors")
    with pytest.raises(IntegrityError, match=rf"model\.safetensors: weights do not fit config\.json \({change}.*bias"):
        load_model(run)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.pop("stage"),
        lambda config: config.pop("architecture"),
        lambda config: config["architecture"].pop("dim"),
        lambda config: config["architecture"].update(widths=3),
        lambda config: config["architecture"].update(heads=0),
        lambda config: config["architecture"].update(heads=5),
        lambda config: config["architecture"].update(dim="32"),
        lambda config: config.update(tasks=None),
        lambda config: config["tasks"].append("topic"),
        lambda config: config["tasks"][0].update(labels=None),
    ],
)
def test_a_configuration_that_makes_no_sense_is_an_integrity_error(run: Path, change: Callable[[Any], None]) -> None:
    config = json.loads((run / "config.json").read_text())
    change(config)
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(IntegrityError, match=r"config\.json"):
        load_model(run)


def test_model_of_a_newer_format_asks_for_an_update(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "format": FORMAT + 1}))
    with pytest.raises(IntegrityError, match=r"newer mtlkit.*update"):
        read_checkpoint(run)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"text"'])
def test_a_damaged_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(IntegrityError, match=r"config\.json: damaged"):
        read_checkpoint(tmp_path)


def test_a_folder_without_a_configuration_is_not_a_model(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"not a model of mtlkit \(config\.json is missing\)"):
        read_checkpoint(tmp_path)


def test_the_architecture_saved_is_the_one_in_use(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    tiny_model.backbone.attend("causal")
    save_model(tiny_model, tmp_path, "mtl", Encoding(32))
    loaded, checkpoint = load_model(tmp_path)
    assert checkpoint.architecture == replace(tiny_model.backbone.architecture, attention="causal")
    assert loaded.backbone.blocks[0].attention.settings.causal  # type: ignore[union-attr]


def test_how_sources_were_read_is_saved_with_the_model(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    sources = {"topic": SourceRecord("a.csv", text=("title", "body"), label=("label",), kind="classification")}
    save_model(tiny_model, tmp_path, "mtl", Encoding(32), sources=sources)
    assert load_model(tmp_path)[1].sources == sources
    config = json.loads((tmp_path / "config.json").read_text())
    assert ModelDescription.from_json({key: value for key, value in config.items() if key != "sources"}).sources == {}
