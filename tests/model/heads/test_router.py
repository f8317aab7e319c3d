from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtlkit.config.architecture import Encoding, TaskSpec
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import IntegrityError
from mtlkit.model.checkpoint import load_model, save_model
from mtlkit.model.heads.router import Router
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of

TASKS = ("topic", "stars")


@pytest.fixture
def routed(tiny_model: MultiTaskModel) -> MultiTaskModel:
    """A model with a router to two of its three tasks, whose weights are not those that it begins with."""
    tiny_model.router = Router(tiny_model.vector_dim, TASKS)
    with torch.no_grad():
        for weight in (*tiny_model.router.parameters(), tiny_model.router.center):
            weight.normal_()
        tiny_model.router.spread.uniform_(0.5, 2.0)
    return tiny_model.eval()


def test_a_fresh_router_finds_all_tasks_alike_and_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    router = Router(16, TASKS)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(router(torch.rand(3, 16)), torch.zeros(3, 2))


def test_vectors_are_normalized_with_the_stored_mean_and_spread(routed: MultiTaskModel) -> None:
    router = routed.router
    assert router is not None
    vectors = torch.randn(5, routed.vector_dim)
    logits = router(vectors)
    assert logits.shape == (5, 2)
    router.center, router.spread = 40 * router.center + 3, 40 * router.spread
    torch.testing.assert_close(router(40 * vectors + 3), logits, atol=1e-4, rtol=1e-4)
    assert router(vectors.bfloat16()).dtype == torch.float32


def test_no_gradient_reaches_the_vectors(routed: MultiTaskModel) -> None:
    assert routed.router is not None
    vectors = torch.randn(5, routed.vector_dim, requires_grad=True)
    routed.router(2 * vectors).sum().backward()
    assert vectors.grad is None
    assert routed.router.weight.grad is not None


def test_a_router_comes_back_with_equal_logits(routed: MultiTaskModel, text_encoder: TextEncoder, tmp_path: Path) -> None:
    save_model(routed, tmp_path, "mtl", text_encoder.encoding)
    loaded, checkpoint = load_model(tmp_path)
    assert checkpoint.router == TASKS
    assert loaded.router is not None
    assert routed.router is not None
    assert loaded.router.tasks == TASKS
    vectors = torch.randn(7, routed.vector_dim)
    assert torch.equal(loaded.router(vectors), routed.router(vectors))
    assert {f"router.{name}" for name in ("weight", "bias", "center", "spread")} <= set(load_file(tmp_path / "model.safetensors"))
    batch = text_encoder.encode(["A cat sleeps."]).batch([0])
    with torch.no_grad():
        assert torch.equal(loaded(batch, "topic"), routed(batch, "topic"))


def test_a_run_without_one_is_written_as_before(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    save_model(tiny_model, tmp_path, "mtl", Encoding(32))
    assert list(json.loads((tmp_path / "config.json").read_text())) == ["format", "stage", "architecture", "encoding", "tasks"]
    model, checkpoint = load_model(tmp_path)
    assert (model.router, checkpoint.router) == (None, ())


def test_it_is_a_part_and_no_task(routed: MultiTaskModel) -> None:
    assert list(routed.tasks) == ["topic", "tags", "stars"]
    assert [name for name, _ in routed.parts()] == ["backbone", "head:topic", "head:tags", "head:stars", "router"]
    assert routed.part("router") is routed.router
    parts = parts_of(name for name, _ in routed.named_parameters())
    assert parts["router"] == ["router.weight", "router.bias"]
    routed.router = None
    assert "router" not in dict(routed.parts())
    assert not any(name.startswith("router") for name in routed.state_dict())


def test_a_task_may_be_called_router(tiny_model: MultiTaskModel, tmp_path: Path) -> None:
    spec = TaskSpec("router", "classification", ("a", "b"))
    model = MultiTaskModel(tiny_model.backbone, [spec, *tiny_model.tasks.values()], ("router", "topic")).eval()
    save_model(model, tmp_path, "mtl", Encoding(32))
    loaded, _ = load_model(tmp_path)
    assert loaded.router is not None
    assert loaded.router.tasks == ("router", "topic")
    assert loaded.tasks["router"] == spec
    assert loaded.part("head:router") is loaded.head("router") is not loaded.part("router")
    assert list(parts_of(loaded.state_dict()))[-5:] == ["head:router", "head:topic", "head:tags", "head:stars", "router"]


def test_a_router_to_a_task_without_a_head_is_damage(routed: MultiTaskModel, tmp_path: Path) -> None:
    save_model(routed, tmp_path, "mtl", Encoding(32))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "router": ["topic", "mood"]}))
    with pytest.raises(IntegrityError, match=r"config\.json: damaged \(a router to tasks without a head: mood\)"):
        load_model(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "router": ["topic", "stars", "tags"]}))
    with pytest.raises(IntegrityError, match="weights do not fit"):
        load_model(tmp_path)


def test_a_compact_model_keeps_it(routed: MultiTaskModel, tmp_path: Path) -> None:
    save_model(routed, tmp_path, "mtl", Encoding(32), compact=True)
    loaded, _ = load_model(tmp_path)
    assert loaded.router is not None
    assert routed.router is not None
    vectors = torch.randn(50, routed.vector_dim)
    torch.testing.assert_close(loaded.router(vectors), routed.router(vectors), atol=0.2, rtol=0.02)
