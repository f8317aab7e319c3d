"""The grammar of `--freeze` and `--unfreeze`: meanings and error messages."""

from __future__ import annotations

import pytest

from mtlkit.config.architecture import Architecture
from mtlkit.errors import UsageError
from mtlkit.model.weight_names import part_titles, parts_of, weight_names
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.freezing.rules import FreezeRules

HEADS = {"topic": "linear", "sentiment": "mlp:8"}
WEIGHTS = weight_names(Architecture(300, 3, 32, 2, 64), HEADS)


def parse(*items: str, unfreeze: str | None = None) -> FreezeRules:
    return parse_freeze(items, unfreeze, WEIGHTS, list(HEADS), (1, 1, 1))


def whole_parts(weights: frozenset[str]) -> set[str]:
    return {part for part, names in parts_of(WEIGHTS).items() if weights.issuperset(names)}


BACKBONE = {"embeddings", "layers:0", "layers:1", "layers:2", "pooling"}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (["none"], set()),
        ([], set()),
        (["none", "none"], set()),
        (["backbone"], BACKBONE),
        ([" backbone , head:topic ", "head:sentiment,"], BACKBONE | {"head:topic", "head:sentiment"}),
        (["head:topic", "head:topic"], {"head:topic"}),
        (["heads"], {"head:topic", "head:sentiment"}),
        (["embeddings,layers:0-1"], {"embeddings", "layers:0", "layers:1"}),
        (["layers:1"], {"layers:1"}),
        (["backbone,-layers:2"], BACKBONE - {"layers:2"}),
        (["backbone", "-layers:1-2", "layers:2"], BACKBONE - {"layers:1"}),
        (["-layers:2,backbone"], BACKBONE),
        ([r"re:blocks\.[12]\."], {"layers:1", "layers:2"}),
        ([r"re:blocks\.\d{1,2}\., head:topic"], {"layers:0", "layers:1", "layers:2", "head:topic"}),
    ],
)
def test_the_last_item_that_names_a_weight_wins(items: list[str], expected: set[str]) -> None:
    freezing = parse(*items)
    assert whole_parts(freezing.always) == expected
    assert freezing.states == (freezing.always,)
    assert freezing.always == {name for part in expected for name in parts_of(WEIGHTS)[part]}


def test_norms_and_bias_are_the_backbones() -> None:
    norms, bias = parse("norms").always, parse("bias").always
    assert norms == {name for name in WEIGHTS if "norm" in name}
    assert bias == {name for name in WEIGHTS if name.startswith("backbone.") and name.endswith(".bias")}
    assert parse("backbone,-bias").always == {name for name in WEIGHTS if name.startswith("backbone.")} - bias  # BitFit


@pytest.mark.parametrize(("text", "every"), [("top-down", 1), ("top-down:every=2", 2)])
def test_unfreezing_thaws_a_block_more_each_time_from_the_last_down(text: str, every: int) -> None:
    freezing = parse(unfreeze=text)
    frozen = [whole_parts(freezing.at(epoch, epoch * 10)) for epoch in range(0, 5 * every, every)]
    assert frozen == [
        BACKBONE,
        {"embeddings", "layers:0", "layers:1"},
        {"embeddings", "layers:0"},
        {"embeddings"},
        set(),
    ]
    assert whole_parts(freezing.at(every - 1, 9)) == BACKBONE
    assert not freezing.always
    assert whole_parts(parse("embeddings", unfreeze=text).always) == {"embeddings"}  # an item of --freeze comes after it


@pytest.mark.parametrize(
    ("item", "nearest"),
    [
        ("head:topc", "head:topic"),
        ("backbon", "backbone"),
        ("topic", "head:topic"),
        ("non", "none"),
        ("-head:sentimet", "head:sentiment"),
        ("embedings@until=epoch:1", "embeddings"),
    ],
)
def test_an_unknown_part_is_refused_with_the_nearest(item: str, nearest: str) -> None:  # fault 18
    with pytest.raises(UsageError) as caught:
        parse(f"backbone,{item}")
    message = str(caught.value)
    assert message.startswith(f"--freeze {item}: no such part")
    assert (
        "none, backbone, embeddings, layers:0-2, pooling, norms, bias, heads, head:topic, head:sentiment, re:PATTERN" in message
    )
    assert message.endswith(f"did you mean '{nearest}'?")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("items", "said"),
    [
        (["none", "backbone"], "--freeze none and --freeze backbone contradict each other"),
        (["xyz"], r"--freeze xyz: no such part; .*re:PATTERN$"),
        (["layers:3"], "--freeze layers:3: no such layers; the model has 0 to 2"),
        (["layers:2-1"], "--freeze layers:2-1: no such layers; the model has 0 to 2"),
        (
            ["backbone@until=epoch:0"],
            "--freeze backbone@until=epoch:0: write its end as @until=epoch:K or",
        ),
        (["backbone@until=week:1"], r"write its end as @until=epoch:K"),
        (["re:blocks.("], r"--freeze re:blocks\.\(: not a regular expression"),
        (["re:nothing"], r"--freeze re:nothing: matches no weight; their names are such as backbone\.tokens\.weight"),
    ],
)
def test_options_without_effect_are_reported(items: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(*items)


@pytest.mark.parametrize("text", ["bottom-up", "top-down:every=0", "top-down:2"])
def test_an_unknown_order_of_unfreezing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=rf"--unfreeze {text}: write top-down, or top-down:every=N"):
        parse(unfreeze=text)


@pytest.mark.parametrize(
    "item", ["re:" + "(" * 20000, "re:(", "layers:" + "9" * 5000, f"backbone@until=epoch:{'9' * 5000}", "x" * 9999]
)
def test_nonsense_is_refused_in_one_short_line(item: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_freeze([item], None, ["backbone.norm.weight"], ["topic"], (1, 1))
    assert len(str(caught.value)) < 400


def test_a_deeply_nested_pattern_is_refused() -> None:
    with pytest.raises(UsageError, match="nested too deeply"):
        parse_freeze(["re:" + "(" * 5000 + ")" * 5000], None, ["backbone.norm.weight"], ["topic"], (1, 1))


def test_pooling_is_a_part_where_it_has_parameters() -> None:
    weights = ["backbone.tokens.weight", "backbone.norm.weight", "backbone.token_weights", "heads.topic.layers.1.weight"]
    freezing = parse_freeze(["pooling"], None, weights, ["topic"], ())
    assert freezing.always == {"backbone.norm.weight", "backbone.token_weights"}
    with pytest.raises(UsageError, match="the pooling of this model has no parameters"):
        parse_freeze(["pooling"], None, weights[:1], ["topic"], ())


SHARED = Architecture(100, 5, 16, 2, 16, layer_groups=2)  # layers 0 to 2, and 3 and 4


@pytest.mark.parametrize(("item", "block"), [("layers:0-2", 0), ("layers:3-4", 1)])
def test_layers_that_share_weights_are_frozen_together(item: str, block: int) -> None:
    names = weight_names(SHARED, {})
    frozen = parse_freeze([item], None, names, [], SHARED.repeats).always
    assert frozen == {name for name in names if name.startswith(f"backbone.blocks.{block}.")}
    assert part_titles(SHARED)[f"layers:{block}"] == item


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("layers:0", "layers 0 to 2 of this model share their weights; write layers:0-2"),
        ("layers:1-2", "layers 0 to 2 of this model share their weights; write layers:0-2"),
        ("layers:2-4", "layers 0 to 2 of this model share their weights; write layers:0-2"),
        ("layers:0-3", "layers 3 to 4 of this model share their weights; write layers:3-4"),
        ("layers:3-5", "no such layers; the model has 0 to 4"),
    ],
)
def test_a_part_of_them_is_refused(item: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"--freeze {item}: {message}"):
        parse_freeze([item], None, weight_names(SHARED, {}), [], SHARED.repeats)


def test_they_thaw_together() -> None:
    rules = parse_freeze([], "top-down", weight_names(SHARED, {}), [], SHARED.repeats).rules
    assert [str(rule.until) for rule in rules] == ["epoch 1", "epoch 1", "epoch 2", "epoch 3"]
