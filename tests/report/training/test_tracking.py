from __future__ import annotations

import pytest
from drawing import drawn, widest

from mtlkit.report.training.tracking import bars, scientific, tracking_messages, tracking_tables
from mtlkit.training.diagnostics.gradient_stats import PairSummary, TaskConflict, TrackingSummary

LONG = "n" * 64
PARTS = ("backbone", "embeddings", "layers:0", "layers:1", "layers:2", "pooling")
CALM = TaskConflict(steps=100, cosine=0.1, share=0.4, magnitude_similarity=0.9, ratio=1.2)
TORN = TaskConflict(steps=100, cosine=-0.25, share=0.61, magnitude_similarity=0.85, ratio=0.8)


def pair(first: str = "topic", second: str = "sentiment", **parts: TaskConflict | None) -> PairSummary:
    found: dict[str, TaskConflict | None] = dict.fromkeys(PARTS, CALM)
    return PairSummary((first, second), {**found, **{name.replace("layers", "layers:"): one for name, one in parts.items()}})


def summary(
    norms: dict[str, float | None] | None = None,
    ratios: dict[str, float | None] | None = None,
    pairs: tuple[PairSummary, ...] = (),
    steps: int = 20,
) -> TrackingSummary:
    """A calm epoch; parts that are given are otherwise."""
    plain: dict[str, float | None] = dict.fromkeys(PARTS[1:], 0.5)
    small: dict[str, float | None] = dict.fromkeys(PARTS[1:], 0.001)
    return TrackingSummary(steps, {**plain, **(norms or {})}, {**small, **(ratios or {})}, pairs, 1.23, 60.0)


def lines(found: TrackingSummary, width: int = 80) -> list[list[str]]:
    return [line.split() for table in tracking_tables(found, width) for line in drawn(table, width).splitlines()]


def test_a_row_a_part_with_bars() -> None:
    found = lines(summary({"layers:1": 0.05, "head:topic": None}, {"head:topic": None, "pooling": 1e-9}))
    assert " ".join(found[0]) == "Gradients of 20 tracked steps (2.1 % of the time went into tracking)"
    assert ["embeddings", "5.0e-01", "█" * 12, "1.0e-03", "█" * 12] in found
    assert ["layers:1", "5.0e-02", "█" * 10, "1.0e-03", "█" * 12] in found
    assert ["pooling", "5.0e-01", "█" * 12, "1.0e-09", "█"] in found
    assert ["head:topic", "-", "-"] in found


def test_one_task_has_no_table_of_pairs() -> None:
    assert len(tracking_tables(summary(), 80)) == 1


def test_two_tasks_are_shown_part_by_part() -> None:
    found = lines(summary(pairs=(pair(backbone=TORN, layers2=None),)))
    assert ["topic,", "sentiment", "backbone", "-0.250", "61", "%", "█" * 7, "0.85"] in found
    assert ["layers:1", "0.100", "40", "%", "█" * 5, "0.90"] in found
    assert ["layers:2", "-", "-", "-"] in found


def test_of_several_pairs_the_worst_part_alone_is_shown() -> None:
    found = lines(summary(pairs=(pair(layers1=TORN), pair("topic", "stars"))))
    assert [row[0] for row in found if row and "%" in row[1:] and row[0] != "Gradients"] == [
        "topic,",
        "layers:1",
        "topic,",
        "embeddings",
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("count", [1, 3])
def test_tables_fit_with_every_figure(width: int, count: int) -> None:
    pairs = tuple(pair(f"{place}{LONG}", LONG, layers1=TORN) for place in range(count))
    found = summary({f"head:{LONG}": 0.123}, {f"head:{LONG}": 1.5}, pairs)
    for table in tracking_tables(found, width):
        assert widest(drawn(table, width)) <= width
    text = "".join(drawn(table, width) for table in tracking_tables(found, width))
    assert text.count("…") == 1 + count
    for figure in ("1.2e-01", "1.5e+00", "-0.250", "61 %", "0.85", "layers:1"):
        assert figure in text


def test_bars_are_logarithmic_and_nothing_has_none() -> None:
    assert bars([100.0, 10.0, 1e-20, 0.0, None]) == ["█" * 12, "█" * 10, "█", "", ""]
    assert bars([None, 0.0]) == ["", ""]


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0.0, "0"), (0.01234, "1.2e-02"), (4.5e-12, "4.5e-12")])
def test_scientific(value: float | None, text: str) -> None:
    assert scientific(value) == text


def test_a_calm_epoch_needs_no_words() -> None:
    assert tracking_messages(summary(pairs=(pair(),))) == []


def test_vanishing_and_exploding_gradients_in_words() -> None:
    assert tracking_messages(summary({"layers:0": 0.0004})) == [
        "vanishing below block 1: the gradient of block 0 is 8.0e-04 times that of block 2"
    ]
    assert tracking_messages(summary({"layers:0": 0.0, "layers:1": 0.004})) == [
        "vanishing below block 2: the gradient of block 0 is 0 times that of block 2"
    ]
    assert tracking_messages(summary({"layers:0": 0.006})) == []
    assert tracking_messages(summary({"layers:0": 0.0004, "layers:2": None})) == [
        "vanishing below block 1: the gradient of block 0 is 8.0e-04 times that of block 1"
    ]
    assert tracking_messages(summary({"layers:0": 600.0})) == [
        "exploding below block 1: the gradient of block 0 is 1,200 times that of block 2"
    ]
    assert tracking_messages(summary(dict.fromkeys(("layers:0", "layers:1", "layers:2")))) == []  # all frozen
    assert tracking_messages(summary({"layers:2": 0.0})) == []


def test_steps_that_are_too_large_in_words() -> None:
    assert tracking_messages(summary(ratios={"layers:0": 0.12, "layers:1": 0.31, "head:topic": 0.9})) == [
        "exploding: a step changes block 1 by 31 % of the weights' norm"
    ]
    assert tracking_messages(summary(ratios={"embeddings": 0.2})) == [
        "exploding: a step changes the embeddings by 20 % of the weights' norm"
    ]
    assert tracking_messages(summary(ratios={"head:topic": 0.9, "layers:1": 0.09, "layers:2": None})) == []


def test_conflict_in_words() -> None:
    torn = pair(backbone=TORN, layers2=TORN)
    assert tracking_messages(summary(pairs=(torn,))) == ["topic and sentiment conflict in 61 % of steps, most in block 2"]
    alone = PairSummary(("topic", "sentiment"), {"backbone": TORN, "layers:2": TORN})
    assert tracking_messages(summary(pairs=(alone,))) == ["topic and sentiment conflict in 61 % of steps"]
    few = TaskConflict(steps=20, cosine=-0.25, share=0.7, magnitude_similarity=0.85, ratio=0.8)
    assert tracking_messages(summary(pairs=(pair(backbone=few),))) == []  # 14 of 20 are no rare chance
    assert tracking_messages(summary(pairs=(pair(backbone=None),))) == []


def test_a_task_that_drowns_another_in_words() -> None:
    loud = TaskConflict(steps=100, cosine=0.1, share=0.4, magnitude_similarity=0.16, ratio=12.1)
    quiet = TaskConflict(steps=100, cosine=0.1, share=0.4, magnitude_similarity=0.16, ratio=1 / 12.1)
    assert tracking_messages(summary(pairs=(pair(backbone=loud),))) == ["topic's gradient is 12 times sentiment's"]
    assert tracking_messages(summary(pairs=(pair(backbone=quiet),))) == ["sentiment's gradient is 12 times topic's"]
