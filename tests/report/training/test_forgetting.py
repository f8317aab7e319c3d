from __future__ import annotations

from dataclasses import replace

import pytest
from drawing import HOSTILE, STYLE, drawn, widest

from mtlkit.evaluation.forgetting import ClassFall, ConfusionChange, ForgettingReport, TaskChange
from mtlkit.evaluation.intervals import Interval
from mtlkit.report.training.forgetting import distance, forgetting_messages, forgetting_tables, points

LONG = "n" * 64
PAIR = ConfusionChange("Business", "Sci/Tech", 61, 0.63)
TOPIC = TaskChange(
    task="topic",
    kind="classification",
    metric="accuracy",
    rows=3000,
    before=0.9213,
    best=0.9251,
    after=0.9033,
    change=-0.018,
    interval=Interval(-0.024, -0.011),
    forgetting=0.0218,
    fallen=ClassFall("Business", 0.883, 0.801, 12_345),
    pair=PAIR,
)
STARS = replace(
    TOPIC,
    task="stars",
    kind="regression",
    metric="spearman",
    rows=1500,
    before=-0.7123,
    best=0.7121,
    after=0.7092,
    change=-0.003,
    interval=Interval(-0.01, 0.004),
    fallen=None,
    pair=None,
)


def report(epochs: int = 2, name: str = "topic", **more: object) -> ForgettingReport:
    """A known task, a task with a new head, and a correlation."""
    stages = ("before", *(f"epoch {epoch + 1}" for epoch in range(epochs)), "after")
    values = tuple(0.5 + place / 1000 for place in range(len(stages)))
    plain = ForgettingReport(
        stages=stages,
        matrix={name: values, "new": (None, *values[1:]), "stars": tuple(-value for value in values)},
        metrics={name: "accuracy", "new": "macro_f1", "stars": "spearman"},
        changes=(replace(TOPIC, task=name), STARS),
        backward_transfer=-0.0105,
        distances={"embeddings": 0.0123, "layers:0": 0.1, "pooling": 1e-6, f"head:{name}": 0.0, "head:stars": None},
        cosine_mean=0.98123,
        cosine_least=0.8734,
        probes=102,
    )
    return replace(plain, **more)  # type: ignore[arg-type]


def lines(found: ForgettingReport, width: int = 80) -> list[list[str]]:
    return [line.split() for table in forgetting_tables(found, width) for line in drawn(table, width).splitlines()]


def test_tasks_at_every_stage() -> None:
    found = lines(report())
    assert ["epoch", "epoch"] in found
    assert ["task", "metric", "before", "1", "2", "after"] in found
    assert ["topic", "accuracy", "50.0", "50.1", "50.2", "50.3"] in found
    assert ["new", "macro-F1", "-", "50.1", "50.2", "50.3"] in found
    assert ["stars", "Spearman", "-0.500", "-0.501", "-0.502", "-0.503"] in found


def test_known_tasks_and_the_class_that_fell_most() -> None:
    found = lines(report(), 100)
    assert ["topic", "92.1", "92.5", "90.3", "-1.8", "-2.4..-1.1", "3,000"] in found
    assert ["stars", "-0.712", "0.712", "0.709", "-0.3", "-1.0..0.4", "1,500"] in found
    assert ["topic", "Business", "88.3", "80.1", "12,345"] in found


def test_how_far_each_part_moved_with_bars_in_proportion() -> None:
    rows = {row[0]: row[1:] for row in lines(report()) if row}
    assert rows["embeddings"] == ["0.0123", "█" * 3]
    assert rows["layers:0"] == ["0.1000", "█" * 24]
    assert rows["pooling"] == ["1e-06"]
    assert (rows["head:topic"], rows["head:stars"]) == (["0"], ["-"])


def test_where_nothing_moved_or_was_known_there_are_two_tables() -> None:
    bare = report(changes=(), cosine_mean=None, cosine_least=None, probes=0, distances={"embeddings": 0.0})
    text = "".join(drawn(table) for table in forgetting_tables(bare, 80))
    assert [line for line in text.splitlines() if line and not line.startswith(" ")] == [
        "Validation rows at every stage (accuracy and macro-F1 x 100)",
        "How far the weights moved, |w - w0| / |w0|",
    ]
    assert "█" not in text


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("epochs", [1, 5, 6, 40, 100])
def test_long_names_and_many_epochs_fit_with_every_figure(width: int, epochs: int) -> None:
    found = report(epochs, LONG)
    for table in forgetting_tables(found, width):
        assert widest(drawn(table, width)) <= width
    rows = {row[1]: row[2:] for row in lines(found, width) if len(row) > 2}
    stages = ["before", *map(str, range(1, epochs + 1)), "after"]
    values = [f"{50 + place / 10:.1f}" for place in range(epochs + 2)]
    if "…" in rows["metric"]:
        last = len(rows["metric"]) - 2
        assert last > (9 if width == 120 else 4)
        stages, values = [["before", "…", *stages[-last:]], [values[0], "…", *values[-last:]]]
    assert rows["metric"] == stages
    assert rows["accuracy"] == values


def test_stages_are_left_out_only_where_they_must_be() -> None:
    assert ["before", *map(str, range(1, 6)), "after"] in [row[2:] for row in lines(report(5))]
    assert all("…" not in row for row in lines(report(14), 150))
    assert any("…" in row for row in lines(report(14), 80))


@pytest.mark.parametrize("width", [80, 120])
def test_long_names_of_tasks_and_classes_share_the_room(width: int) -> None:
    fallen = replace(TOPIC, task=LONG, fallen=ClassFall("国際ニュース速報" * 9, 0.5, 0.25, 1_234_567))
    found = report(changes=(fallen, replace(TOPIC, rows=1_234_567, interval=Interval(-1.0, -0.995))))
    text = "".join(drawn(table, width) for table in forgetting_tables(found, width))
    assert widest(text) <= width
    assert text.count("…") == 3
    for figure in ("-100.0..-99.5", "1,234,567", "25.0"):
        assert figure in text


def test_labels_are_shown_literally() -> None:  # fault 30
    for label in HOSTILE:
        change = replace(TOPIC, fallen=ClassFall(label, 0.5, 0.25, 9), pair=ConfusionChange(label, label, 9, 0.6))
        found = report(changes=(change,))
        shown = label.replace("\x1b", "\N{REPLACEMENT CHARACTER}")
        for table in forgetting_tables(found, 160):
            assert "\x1b" not in STYLE.sub("", drawn(table, 160, colour=True))
        assert any(shown in " ".join(row) for row in lines(found, 160))
        assert forgetting_messages(found)[0].endswith(f"; most of the errors are {shown} predicted as {shown}")


def words(**more: object) -> str:
    (sentence,) = forgetting_messages(report(changes=(replace(TOPIC, **more),), cosine_mean=None))  # type: ignore[arg-type]
    return sentence


def test_a_task_that_lost_in_words() -> None:
    lost = "topic lost 1.8 points (95 %: 1.1 to 2.4) on 3,000 validation texts"
    assert words() == f"{lost}; most of the errors are Business predicted as Sci/Tech"
    assert (
        words(pair=replace(PAIR, share=0.5)) == f"{lost}; the largest part of the errors (50 %) is Business predicted as Sci/Tech"
    )
    assert (
        words(pair=replace(PAIR, share=0.226))
        == f"{lost}; the largest part of the errors (23 %) is Business predicted as Sci/Tech"
    )
    assert words(pair=None) == lost
    assert words(pair=None, rows=1).endswith("on 1 validation text")


def test_a_task_that_gained_or_did_not_change_in_words() -> None:
    gained = {"change": 0.008, "interval": Interval(0.0021, 0.0139)}
    assert words(**gained) == "topic gained 0.8 points (95 %: 0.2 to 1.4) on 3,000 validation texts"
    noise = {"change": -0.003, "interval": Interval(-0.01, 0.004)}
    assert words(**noise) == "topic: no change beyond noise (-0.3 points, 95 %: -1.0 to 0.4)"
    assert words(change=0.0, interval=Interval(-0.01, 0.01)) == "topic: no change beyond noise (0.0 points, 95 %: -1.0 to 1.0)"
    assert words(change=0.0, interval=Interval(0.0, 0.0)) == "topic is unchanged"


def test_metrics_other_than_accuracy_are_named() -> None:
    assert words(metric="macro_f1", pair=None).startswith("topic lost 1.8 points of macro-F1 (95 %: 1.1 to 2.4) on")
    assert words(metric="spearman", pair=None).startswith("topic lost 1.8 points of Spearman correlation x 100 (95 %: ")


def test_all_known_tasks_and_the_vectors_in_words() -> None:
    *_, transfer, cosine = forgetting_messages(report())
    assert transfer == "backward transfer, the mean change of the 2 known tasks: -1.1 points"
    assert cosine == "cosine of the vectors of 102 probe texts with those of the start: 0.9812 on average, minimum 0.8734"
    *_, gained, _ = forgetting_messages(report(backward_transfer=0.011))
    assert gained == "backward transfer, the mean change of the 2 known tasks: +1.1 points"
    assert forgetting_messages(report(changes=(), backward_transfer=None, cosine_mean=None)) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.018, "-1.8"), (0.0, "0.0"), (-0.0, "0.0"), (1.0, "100.0"), (0.0004, "0.04"), (-0.000012, "-0.001"), (-1e-9, "0.0")],
)
def test_points(value: float, text: str) -> None:
    assert points(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.0, "0"), (0.5, "0.5000"), (12.5, "12.5000"), (0.00005, "0.0001"), (3.2e-7, "3e-07")]
)
def test_distance(value: float | None, text: str) -> None:
    assert distance(value) == text
