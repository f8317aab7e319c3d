"""Models that cannot fit the machine are refused before anything is read or allocated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mtlkit.config.architecture import MOST_LAYERS, Architecture, parse_head
from mtlkit.config.block_options import MODERN, BlockOptions
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import UsageError
from mtlkit.model.encoder import Encoder
from mtlkit.model.randomness import Uninitialised
from mtlkit.recipes.pretrain import pretrain
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.recipes.train_sentence import train_sentence
from mtlkit.recipes.training import model_size
from mtlkit.recipes.training.model_size import check_size, machine_memory, parameters_of

TRAININGS: list[tuple[Callable[[Any], object], type[Any]]] = [
    (pretrain, PretrainOptions),
    (train_sentence, TrainSentenceOptions),
    (train_mtl, TrainMtlOptions),
]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"norm": "post", "embedding_norm": True, "embedding_dim": 16, "hidden": 48},
        {"pooling": "weighted", "hidden": 20},
        {"embedding_norm": True, "blocks": MODERN},
        {"blocks": BlockOptions(rotary_base=1e4, kv_heads=2, norm_type="rms")},
    ],
)
def test_parameters_are_those_of_the_encoder(more: dict[str, Any]) -> None:
    architecture = Architecture(300, 3, 32, 4, 40, **more)
    with torch.device("meta"), Uninitialised():
        assert parameters_of(architecture) == sum(weight.numel() for weight in Encoder(architecture).parameters())


def test_the_memory_of_the_machine_is_known() -> None:
    there = machine_memory()
    assert there is None or there > 2**28


@pytest.mark.parametrize("shape", [{"layers": 999_999_999}, {"layers": 900, "dim": 2**24}, {"dim": 2**28, "heads": 1}])
@pytest.mark.parametrize(("train", "options"), TRAININGS)
def test_a_training_that_cannot_fit_is_refused_before_data_is_read(
    train: Callable[[Any], object], options: type[Any], shape: dict[str, int], tmp_path: Path
) -> None:
    fresh = {} if options is PretrainOptions else {"init": "scratch"}
    source = {"sources": ["none.txt"]} if options is PretrainOptions else {}
    with pytest.raises(UsageError, match=r"at most 1000|smaller --layers") as caught:
        train(options(**shape, **fresh, **source, out=tmp_path / "run"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_size_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_size, "machine_memory", lambda: 8 * 2**30)
    architecture = Architecture(300, 12, 4096, 4, 128)
    with pytest.raises(UsageError, match=r"12 layers of width 4096, 300 tokens has 2,[\d,]{11} parameters and takes 36 GiB"):
        check_size(architecture, ["linear"])
    check_size(architecture, ["linear"], fresh=False)  # it is loaded, and may be frozen
    with pytest.raises(UsageError, match=r"a --head on vectors of 4096 numbers has .* takes 61 GiB"):
        check_size(architecture, ["mlp:1000000"], fresh=False)


def test_a_head_of_very_many_layers_is_refused() -> None:
    assert len(parse_head("mlp:" + ",".join("1" * MOST_LAYERS))) == MOST_LAYERS
    with pytest.raises(UsageError, match="has 200,000 hidden layers") as caught:
        parse_head("mlp:" + ",".join("1" * 200_000))
    assert len(str(caught.value)) < 300
