"""When weights are frozen, by rules that begin and end."""

from __future__ import annotations

from mtlkit.config.architecture import Architecture
from mtlkit.model.weight_names import parts_of, weight_names
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.freezing.rules import FreezeRules

HEADS = {"topic": "linear", "sentiment": "mlp:8"}
WEIGHTS = weight_names(Architecture(300, 3, 32, 2, 64), HEADS)
PARTS = ["backbone", "head:topic", "head:sentiment"]


def parse(*items: str, unfreeze: str | None = None) -> FreezeRules:
    return parse_freeze(items, unfreeze, WEIGHTS, list(HEADS), (1, 1, 1))


def whole_parts(weights: frozenset[str]) -> set[str]:
    return {part for part, names in parts_of(WEIGHTS).items() if weights.issuperset(names)}


BACKBONE = {"embeddings", "layers:0", "layers:1", "layers:2", "pooling"}


def test_a_part_is_kept_when_all_of_it_is_frozen_from_beginning_to_end() -> None:
    assert [part for part in PARTS if parse("backbone").keeps(part)] == ["backbone"]
    assert [part for part in PARTS if parse("head:topic").keeps(part)] == ["head:topic"]
    assert not any(map(parse("backbone@until=epoch:1", "-layers:0").keeps, PARTS))


def test_an_item_ends_after_epochs_or_steps() -> None:
    freezing = parse("backbone@until=epoch:2,head:topic@until=step:5,layers:0")
    assert whole_parts(freezing.at(0, 0)) == BACKBONE | {"head:topic"}
    assert whole_parts(freezing.at(0, 5)) == BACKBONE
    assert whole_parts(freezing.at(1, 99)) == BACKBONE
    assert whole_parts(freezing.at(2, 100)) == whole_parts(freezing.always) == {"layers:0"}
    assert freezing.begins(parts_of(WEIGHTS)["layers:1"]) == "epoch 3"
    assert freezing.begins(parts_of(WEIGHTS)["head:topic"]) == "step 6"
    assert freezing.begins(parts_of(WEIGHTS)["layers:0"]) == "never"
    assert freezing.begins(parts_of(WEIGHTS)["head:sentiment"]) == ""


def test_a_thaw_that_ends_freezes_again() -> None:
    freezing = parse("backbone,-layers:2@until=epoch:1")
    assert whole_parts(freezing.at(0, 0)) == BACKBONE - {"layers:2"}
    assert whole_parts(freezing.at(1, 10)) == BACKBONE
    assert whole_parts(freezing.always) == BACKBONE - {"layers:2"}
