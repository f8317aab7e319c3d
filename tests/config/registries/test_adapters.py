from __future__ import annotations

import pytest

from mtlkit.config.registries.adapters import AdapterChoice, AdapterSpec, parse_adapter
from mtlkit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("lora:8", AdapterChoice("lora", 8, 16.0)),
        ("lora:8:4", AdapterChoice("lora", 8, 4.0)),
        ("lora:4@layers:2", AdapterChoice("lora", 4, 8.0, (2, 2))),
        ("lora:4:1.5@layers:1-3", AdapterChoice("lora", 4, 1.5, (1, 3))),
    ],
)
def test_an_adapter_is_read(text: str, choice: AdapterChoice) -> None:
    assert parse_adapter(text) == choice


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lroa:8", "did you mean 'lora'"),
        ("lora", "lora:RANK"),
        ("lora:0", "lora:RANK"),
        ("lora:8:x", "lora:RANK"),
        ("lora:8:-1", "lora:RANK"),
        ("lora:8:1:2", "lora:RANK"),
        ("lora:8@layer:1", "lora:RANK"),
        ("lora:8@layers:3-1", "layers:1-3"),
        ("lora:999999999", "lora:RANK"),
    ],
)
def test_a_wrong_adapter_is_refused_with_the_right_form(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_adapter(text)


def test_layers_are_those_of_the_model() -> None:
    assert parse_adapter("lora:8").of([1] * 6) == AdapterSpec("lora", 8, 16.0, 0, 5)
    assert str(parse_adapter("lora:8:4@layers:3-5").of([1] * 6)) == "lora:8:4@layers:3-5"
    with pytest.raises(UsageError, match="the model has 0 to 5"):
        parse_adapter("lora:8@layers:6").of([1] * 6)


@pytest.mark.parametrize(
    ("repeats", "words"),
    [
        ([4], "the 4 layers of this model share all their weights; write --adapter lora:4:8"),
        ([3, 2], "the 5 layers of this model share their weights in 2 groups, layers:0 to layers:1; write --adapter lora:4:8"),
    ],
)
def test_layers_that_share_their_weights_are_named(repeats: list[int], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_adapter("lora:4@layers:2-3").of(repeats)
    assert str(caught.value) == f"--adapter lora:4@layers:2-3: {words}"
    assert parse_adapter("lora:4").of(repeats) == AdapterSpec("lora", 4, 8.0, 0, len(repeats) - 1)
