"""Low-rank adapters give the values and the gradients of peft, change no name or value of the backbone, and merge exactly."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from mtlkit.config.registries.adapters import SHARED, AdapterSpec
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.model.encoder import Block
from mtlkit.model.layers.low_rank import AdaptedLinear, Adapter, LowRank, linear_layers
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import parts_of, weight_names
from mtlkit.training.freezing.apply import digest, prefix_depth

TEXTS = ["A cat sleeps near the river.", "", "The drill lies broken on the bench.", "cat"]
ALL, UPPER = AdapterSpec("lora", 4, 8.0, 0, 1), AdapterSpec("lora", 2, 3.0, 1, 1)


def filled(model: MultiTaskModel) -> MultiTaskModel:
    """The model with adapters that change something."""
    with torch.no_grad():
        for name, weight in model.adapters.named_parameters():
            if name.endswith(".b"):
                weight.normal_(std=0.3)
    return model


@pytest.fixture
def adapted(tiny_model: MultiTaskModel) -> MultiTaskModel:
    tiny_model.add_adapter("topic", ALL)
    tiny_model.add_adapter("stars", UPPER)
    return filled(tiny_model)


def test_a_new_adapter_changes_nothing(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> None:
    batch = text_encoder.encode(TEXTS).batch(range(len(TEXTS)))
    before = tiny_model.encode(batch)
    tiny_model.add_adapter("topic", ALL)
    assert torch.equal(tiny_model.encode(batch, "topic"), before)


def test_an_adapter_trains_alone_and_merges(adapted: MultiTaskModel, text_encoder: TextEncoder) -> None:
    batch, before = text_encoder.encode(TEXTS).batch(range(len(TEXTS))), digest(adapted.backbone.state_dict())
    adapted.backbone.requires_grad_(False)
    vectors = adapted.encode(batch, "topic")
    vectors.square().sum().backward()  # type: ignore[no-untyped-call]
    trained = {name for name, weight in adapted.named_parameters() if weight.grad is not None}
    assert trained == {name for name, _ in adapted.named_parameters() if name.startswith("adapters.topic.")}
    with torch.no_grad():
        torch.testing.assert_close(adapted.merged_encoder("topic").encode(batch), vectors.detach(), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(adapted.encode(batch), vectors)  # other tasks do not pass through it
        assert torch.equal(adapted.encode(batch, "tags"), adapted.encode(batch))
    assert digest(adapted.backbone.state_dict()) == before
    assert adapted.merged_encoder("topic").state_dict().keys() == adapted.backbone.state_dict().keys()


def test_layers_below_an_adapter_are_shared(adapted: MultiTaskModel) -> None:
    merged, names = adapted.merged_encoder("stars"), [name for name, _ in adapted.named_parameters()]
    assert merged.blocks[0] is adapted.backbone.blocks[0]
    assert merged.blocks[1] is not adapted.backbone.blocks[1]
    backbone = frozenset(name for name in names if name.startswith("backbone."))
    topic = {name for name in names if name.startswith("adapters.topic.")}
    assert prefix_depth(names, backbone) == 0
    assert prefix_depth(names, backbone | topic) == 1
    assert prefix_depth(names, frozenset(names)) == 2


def test_weights_have_the_names_that_options_are_checked_with(adapted: MultiTaskModel) -> None:
    specs = adapted.adapter_specs
    assert specs == {"topic": ALL, "stars": UPPER}
    heads = {name: spec.head for name, spec in adapted.tasks.items()}
    names = weight_names(adapted.backbone.architecture, heads, adapters=specs)
    assert set(names) == {name for name, _ in adapted.named_parameters()}
    assert {"adapter:topic", "adapter:stars"} <= parts_of(names).keys()
    assert dict(adapted.parts())["adapter:topic"] is adapted.adapter("topic")


def test_the_adapter_of_all_tasks_is_for_every_text(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> None:
    tiny_model.add_adapter(SHARED, ALL)
    batch = text_encoder.encode(TEXTS).batch(range(len(TEXTS)))
    with torch.no_grad():
        before = tiny_model.encode(batch)
        filled(tiny_model)
        assert torch.equal(tiny_model.encode(batch, "topic"), tiny_model.encode(batch))
    assert not torch.allclose(tiny_model.encode(batch), before)
    assert "adapter" in dict(tiny_model.parts())


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of transformers, about what peft asks it
def test_values_and_gradients_are_those_of_peft() -> None:
    peft = pytest.importorskip("peft")
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    model = BertModel(config).eval()
    ids = torch.randint(50, (3, 7))
    spec = AdapterSpec("lora", 4, 6.0, 1, 1)
    ours = Adapter(spec, model)
    assert len(ours.terms()) == 6  # query, key, value, output, and the two of the MLP, found by name in another library's model
    targets = list(ours.terms())
    theirs = peft.get_peft_model(deepcopy(model), peft.LoraConfig(r=4, lora_alpha=6, target_modules=targets)).eval()
    layers = {name.removeprefix("base_model.model."): layer for name, layer in theirs.named_modules() if hasattr(layer, "lora_A")}
    assert layers.keys() == ours.terms().keys()
    for path, term in ours.terms().items():
        nn.init.normal_(term.b, std=0.3)
        with torch.no_grad():
            layers[path].lora_A.default.weight.copy_(term.a)
            layers[path].lora_B.default.weight.copy_(term.b)
    mine, other = ours.adapted(model)(ids).last_hidden_state, theirs(ids).last_hidden_state
    torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)
    for output in (mine, other):
        (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    for path, term in ours.terms().items():
        for own, layer in ((term.a, layers[path].lora_A.default), (term.b, layers[path].lora_B.default)):
            assert own.grad is not None
            torch.testing.assert_close(own.grad, layer.weight.grad, atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        merged = theirs.merge_and_unload()(ids).last_hidden_state
        torch.testing.assert_close(ours.merged(model)(ids).last_hidden_state, merged, atol=1e-6, rtol=1e-5)


def test_products_of_a_cpu_have_the_low_rank_term(tiny_model: MultiTaskModel) -> None:
    layer = tiny_model.backbone.blocks[0].get_submodule("attention.qkv")
    assert isinstance(layer, nn.Linear)
    term = LowRank(layer, 2, 0.5)
    nn.init.normal_(term.b)
    states = torch.randn(5, layer.in_features)
    expected: Tensor = layer(states) + 0.5 * states @ term.a.T @ term.b.T
    torch.testing.assert_close(AdaptedLinear(layer, term)(states), expected)
    assert isinstance(tiny_model.backbone.blocks[0], Block)
    assert list(linear_layers(tiny_model.backbone, range(1))) == [
        f"blocks.0.{name}" for name in ("attention.qkv", "attention.out", "expand", "contract")
    ]
