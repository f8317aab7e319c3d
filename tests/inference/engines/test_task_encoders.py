"""Encoders of tasks with adapters: what several of them share runs once, and changes no bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.block_options import BlockOptions
from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.engines.torch_engine import fastest_encoders
from mtlkit.model.encoder import Encoder
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import weight_names

TEXTS = ["A cat sleeps near the river.", "", "The drill lies broken on the bench.", "cat"] * 3
UPPER, ALL = AdapterSpec("lora", 2, 4.0, 1, 2), AdapterSpec("lora", 4, 4.0, 0, 2)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"norm": "post", "embedding_norm": True, "position_buckets": 32},
        {"blocks": BlockOptions(rotary_base=10000.0, window=4, local_layers=(1,), gated=True)},
        {"layers": 6, "layer_groups": 3},
    ],
    ids=["plain", "position bias", "rotary and gated", "shared layers"],
)
def test_tasks_together_have_the_vectors_of_each_alone(
    options: dict[str, Any], text_encoder: TextEncoder, compute: Compute
) -> None:
    torch.manual_seed(0)
    shape = Architecture(text_encoder.tokenizer.get_vocab_size(), 3, 32, 2, 32, "bidirectional")
    specs = [TaskSpec(name, "classification", ("a", "b")) for name in ("bare", "upper", "all")]
    model = MultiTaskModel(Encoder(replace(shape, **options)), specs, adapters={"upper": UPPER, "all": ALL}).eval()
    for name, weight in model.adapters.named_parameters():
        if name.endswith(".b"):
            torch.nn.init.normal_(weight, std=0.3)
    names = weight_names(model.architecture, {spec.name: spec.head for spec in specs}, adapters=model.adapter_specs)
    assert set(names) == {name for name, _ in model.named_parameters()}
    encoded, encoders = text_encoder.encode(TEXTS), fastest_encoders(model, compute)
    tasks = ["bare", "upper", "all", None]
    together = encoders.each(tasks, lambda encoder: (encode_all(encoder, encoded, compute),))
    for task in tasks:
        (own,) = together[task]
        assert torch.equal(own, encode_all(encoders.of(task), encoded, compute))
        with torch.no_grad():
            batch = encoded.batch(range(len(TEXTS)))
            torch.testing.assert_close(own[batch.rows], model.encode(batch, task), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(together["bare"][0], together["upper"][0])
    assert torch.equal(together["bare"][0], together[None][0])
