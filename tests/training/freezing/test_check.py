"""Freezing that is refused, and in which words."""

from __future__ import annotations

import pytest

from mtlkit.config.architecture import Architecture
from mtlkit.errors import UsageError
from mtlkit.model.weight_names import weight_names
from mtlkit.training.freezing.check import check_freeze
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.freezing.rules import FreezeRules

HEADS = {"topic": "linear", "sentiment": "mlp:8"}
WEIGHTS = weight_names(Architecture(300, 3, 32, 2, 64), HEADS)
PARTS = ["backbone", "head:topic", "head:sentiment"]


def parse(*items: str, unfreeze: str | None = None) -> FreezeRules:
    return parse_freeze(items, unfreeze, WEIGHTS, list(HEADS), (1, 1, 1))


def test_everything_frozen_is_refused_and_what_could_train_is_named() -> None:  # fault 39
    with pytest.raises(UsageError) as caught:
        check_freeze(parse("backbone,head:topic,head:sentiment"), list(HEADS), PARTS, fresh=False)
    assert "everything is frozen, so nothing is left to train" in str(caught.value)
    assert "take one of head:topic, head:sentiment out of --freeze" in str(caught.value)
    assert caught.value.exit_code == 2


def test_every_head_frozen_is_refused_although_the_backbone_is_free() -> None:  # fault 39
    with pytest.raises(UsageError, match=r"every task's head is frozen \(head:topic\).*take one of head:topic out"):
        check_freeze(parse("heads"), ["topic"], PARTS, fresh=False)


def test_everything_frozen_is_refused_for_fresh_weights_too() -> None:  # fault 39
    with pytest.raises(UsageError, match="nothing is left to train"):
        check_freeze(parse("backbone,head:topic"), ["topic"], [], fresh=True)


def test_everything_frozen_for_a_while_is_refused() -> None:
    with pytest.raises(UsageError, match="everything is frozen for some time, when nothing could train; let head:topic train"):
        check_freeze(parse("backbone,head:topic@until=epoch:1"), ["topic"], PARTS, fresh=False)


@pytest.mark.parametrize(
    ("item", "part"),
    [("backbone", "backbone"), ("layers:0", "backbone"), ("bias", "backbone"), ("head:sentiment", "head:sentiment")],
)
def test_random_weights_are_not_frozen_unless_they_were_asked_for(item: str, part: str) -> None:
    trained = [name for name in PARTS if name != part]
    with pytest.raises(UsageError, match=rf"--freeze {item} would keep random weights.*no trained {part}.*--init scratch"):
        check_freeze(parse(item), list(HEADS), trained, fresh=False)
    check_freeze(parse(item), list(HEADS), [], fresh=True)
    check_freeze(parse(item), list(HEADS), PARTS, fresh=False)
