from __future__ import annotations

import pytest

from mtlkit.config.architecture import SIZES
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import UsageError


def test_a_size_can_be_overridden_in_parts() -> None:
    assert PretrainOptions(size="m").shape() == SIZES["m"]
    assert PretrainOptions(size="s", layers=7, heads=8).shape() == (7, SIZES["s"][1], 8)
    assert TrainMtlOptions(dim=64).shape() == (SIZES["xs"][0], 64, SIZES["xs"][2])


def test_wider_starting_models_are_trained_with_less() -> None:
    options = TrainSentenceOptions()
    rates = [options.usual_rate(width) for width in (None, 128, 256, 384, 768)]
    assert rates == pytest.approx([3e-4, 3e-4, 3e-4, 1.333e-4, 3.333e-5], rel=1e-3)
    assert TrainMtlOptions(few_shot=True).usual_rate(768) == 5e-5


@pytest.mark.parametrize("size", SIZES)
def test_every_size_can_be_built(size: str) -> None:
    _, dim, heads = SIZES[size]
    assert dim % heads == 0
    assert TrainMtlOptions(size=size).architecture(1000).vocab_size == 1000  # type: ignore[arg-type]


def test_the_shape_of_fresh_weights_is_checked() -> None:
    with pytest.raises(UsageError, match="--dim 30 is not a multiple of --heads 4; choose one that is"):
        TrainMtlOptions(dim=30, heads=4).architecture()
    with pytest.raises(UsageError, match="max_length: 3 is out of range; use at least 4"):
        TrainMtlOptions(max_length=3)


def test_fresh_weights_are_bidirectional_unless_asked_otherwise() -> None:
    assert TrainMtlOptions().architecture().attention == "bidirectional"
    assert TrainMtlOptions(attention="causal", max_length=64, dropout=0.25).architecture().attention == "causal"


@pytest.mark.parametrize(("cap", "rows"), [("none", None), ("shortest", "shortest"), ("1", 1), ("2500", 2500)])
def test_cap(cap: str, rows: int | str | None) -> None:
    assert TrainMtlOptions(cap=cap).cap_rows() == rows


@pytest.mark.parametrize("cap", ["0", "-3", "1.5", "longest", "", "²"])
def test_a_wrong_cap_is_refused(cap: str) -> None:
    with pytest.raises(UsageError, match="is not 'shortest', 'none' or a number of rows"):
        TrainMtlOptions(cap=cap).cap_rows()


def test_both_kinds_of_training_name_their_tasks_alike() -> None:
    assert TrainSentenceOptions().tasks == ["topic=sample:topic"]
    assert TrainMtlOptions().tasks == ["topic=sample:topic", "sentiment=sample:sentiment"]
