from __future__ import annotations

import pytest

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.recipes.training.resuming.options import resolved, restored, upgraded


@pytest.mark.parametrize(
    ("given", "optimizer", "rate"),
    [
        ({}, "muon", 8e-3),
        ({"size": "s"}, "muon", 4e-3),
        ({"size": "s", "dim": 512}, "muon", 2e-3),
        ({"dim": 32}, "muon", 8e-3),
        ({"size": "l"}, "muon", 4e-3 / 3),
        ({"optimizer": "adamw"}, "adamw", 2e-3),
        ({"optimizer": "adamw", "size": "m"}, "adamw", 2e-3),
        ({"init": "scratch"}, "muon", 8e-3),
        ({"init": "mini"}, "adamw", 1e-4),
        ({"init": "mini", "optimizer": "muon"}, "muon", 1e-4),
        ({"learning_rate": 1e-3}, "muon", 1e-3),
    ],
)
def test_optimizer_and_learning_rate_follow_from_the_start(given: dict[str, object], optimizer: str, rate: float) -> None:
    options = PretrainOptions(**given)  # type: ignore[arg-type]
    assert (options.muon, options.peak_rate) == (optimizer == "muon", pytest.approx(rate))
    recorded = resolved(options)
    assert (recorded.optimizer, recorded.learning_rate) == (optimizer, pytest.approx(rate))


def test_fine_tuning_uses_adamw() -> None:
    assert not TrainMtlOptions().muon
    assert resolved(TrainMtlOptions()).optimizer == "adamw"
    assert TrainMtlOptions(optimizer="muon").muon


def test_a_base_of_an_earlier_version_has_its_optimizer_and_blocks() -> None:
    recorded = {"sources": ["a.txt"], "mask_share": 0.3, "learning_rate": 2e-3, "epochs": 20}
    earlier = restored(PretrainOptions, upgraded(recorded))
    assert (earlier.muon, earlier.block) == (False, "gpt2")
    later = restored(PretrainOptions, upgraded({**recorded, "optimizer": "muon", "block": "modern"}))
    assert (later.muon, later.block) == (True, "modern")


def test_blocks_of_fresh_weights_are_modern_in_pretraining_only() -> None:
    def rotary(options: PretrainOptions | TrainMtlOptions) -> bool:
        return options.fresh_architecture(500, 64, "causal", 0.0).blocks.rotary

    assert rotary(PretrainOptions())
    assert not rotary(PretrainOptions(block="gpt2"))
    assert not rotary(TrainMtlOptions())
    assert rotary(TrainMtlOptions(block="modern"))
    assert (resolved(PretrainOptions()).block, resolved(PretrainOptions(init="mini")).block) == ("modern", None)
