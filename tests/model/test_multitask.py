from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import freezing_of

from mtlkit.config.architecture import Encoding, TaskSpec
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.model.checkpoint import load_model, save_model
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.freezing.apply import apply_freeze, training_mode


def test_the_task_selects_the_head(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> None:
    batch = text_encoder.encode(["A cat.", "The drill is broken on the bench.", ""]).batch([0, 1, 2])
    assert tiny_model(batch, "topic").shape == (3, 2)
    assert tiny_model(batch, "tags").shape == (3, 3)
    assert tiny_model(batch, "stars").shape == (3, 1)
    expected = tiny_model.head("tags")(tiny_model.backbone.encode(batch))
    assert torch.equal(tiny_model(batch, "tags"), expected)
    with pytest.raises(KeyError):
        tiny_model(batch, "topics")


def test_parts_hold_every_parameter_once(tiny_model: MultiTaskModel) -> None:
    parts = dict(tiny_model.parts())
    assert list(parts) == ["backbone", "head:topic", "head:tags", "head:stars"]
    held = [id(weight) for part in parts.values() for weight in part.parameters()]
    assert sorted(held) == sorted(id(weight) for weight in tiny_model.parameters())
    assert len(held) == len(set(held))


def test_a_new_head_takes_the_place_of_one_of_the_same_name(tiny_model: MultiTaskModel) -> None:
    old = tiny_model.head("topic")
    tiny_model.add_task(TaskSpec("topic", "classification", ("x", "y", "z")))
    assert tiny_model.head("topic") is not old
    assert tiny_model.tasks["topic"].labels == ("x", "y", "z")
    assert sum(weight.shape[0] for name, weight in tiny_model.named_parameters() if name.startswith("heads.topic")) == 2 * 3


# names that torch's modules use for themselves
@pytest.mark.parametrize("name", ["type", "train", "training", "keys", "parameters", "forward", "_modules", "_parameters", "0"])
def test_a_task_may_have_any_plain_name(name: str, tiny_model: MultiTaskModel, text_encoder: TextEncoder, tmp_path: Path) -> None:
    model = MultiTaskModel(tiny_model.backbone, [TaskSpec(name, "classification", ("a", "b")), *tiny_model.tasks.values()])
    model.train()
    frozen = freezing_of(model, [f"head:{name}"]).always
    training_mode(model, frozen)
    apply_freeze(model, frozen)
    assert not model.head(name).training
    assert not any(weight.requires_grad for weight in model.head(name).parameters())
    model.to(torch.device("cpu")).eval()
    save_model(model, tmp_path, "mtl", Encoding(32))
    loaded, _ = load_model(tmp_path)
    batch = text_encoder.encode(["A cat sleeps."]).batch([0])
    with torch.no_grad():
        assert torch.equal(loaded(batch, name), model(batch, name))


def test_without_tasks_it_is_an_encoder_alone(tiny_model: MultiTaskModel) -> None:
    model = MultiTaskModel(tiny_model.backbone)
    assert isinstance(model.backbone, Encoder)
    assert model.tasks == {}
    assert [name for name, _ in model.parts()] == ["backbone"]
