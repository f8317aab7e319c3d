from __future__ import annotations

from dataclasses import replace

import pytest
from drawing import HOSTILE, STYLE, drawn, widest

from mtlkit.evaluation.intervals import Interval
from mtlkit.evaluation.sharing import SharingReport, TaskSharing, sharing_report
from mtlkit.report.training.sharing import sharing_messages, sharing_tables

TOPIC = TaskSharing(
    task="topic",
    kind="classification",
    metric="accuracy",
    split="test",
    rows=3000,
    together=(0.9213,),
    alone=(0.9183,),
    interval=Interval(-0.004, 0.01),
    over_seeds=None,
    p=(0.205,),
    only_together=(240,),
    only_alone=(231,),
)
SENTIMENT = replace(
    TOPIC, task="sentiment", rows=800, together=(0.85,), alone=(0.829,), interval=Interval(0.01, 0.032), p=(0.001,)
)
STARS = replace(
    TOPIC,
    task="stars",
    kind="regression",
    metric="spearman",
    together=(-0.7123,),
    alone=(-0.1,),
    p=(0.0001,),
    only_together=(),
    only_alone=(),
    interval=Interval(-0.7, -0.5),
)


def of_seeds(task: TaskSharing, *shifts: float, over: Interval) -> TaskSharing:
    """The same task with more seeds, whose gains differ."""
    together = tuple(task.together[0] + shift for shift in (0.0, *shifts))
    seeds = len(together)
    return replace(task, together=together, alone=task.alone * seeds, p=task.p * seeds, over_seeds=over)


def several() -> SharingReport:
    topic = of_seeds(TOPIC, -0.05, 0.03, over=Interval(-0.12345, 0.12345))
    return sharing_report(range(3), [topic, of_seeds(SENTIMENT, 0.01, 0.0, over=Interval(0.011, 0.041))])


def test_the_words_of_one_seed() -> None:
    assert sharing_messages(sharing_report([0], [TOPIC, SENTIMENT])) == [
        "Delta +1.4 %, from one seed; --seeds 3 estimates how much seeds differ",
        "topic: no difference beyond noise (+0.3 points, 95 %: -0.4 to 1.0, p = 0.2)",
        "sentiment is better together by 2.1 points (95 %: 1.0 to 3.2, p = 0.002) on 800 test texts",
    ]


def test_the_words_of_several_seeds() -> None:
    delta, topic, sentiment = sharing_messages(several())
    assert delta == "no effect of sharing beyond noise: Delta +1.3 % (95 %: -3.4 to +5.9, 3 seeds)"
    assert topic.startswith("topic: no difference beyond noise (-0.4 points, 95 %: -0.4 to 1.0; over seeds -12.3 to 12.3, p = ")
    assert sentiment.startswith("sentiment is better together by 2.4 points (95 %: 1.0 to 3.2; over seeds 1.1 to 4.1, p = ")


@pytest.mark.parametrize(("gain", "word"), [(0.02, "helped: Delta +"), (-0.02, "cost: Delta -")])
def test_significant_changes_are_marked(gain: float, word: str) -> None:
    together = tuple(0.8 + gain + shift for shift in (0.0, 0.001, -0.001))
    task = replace(TOPIC, together=together, alone=(0.8,) * 3, p=(1e-5,) * 3, over_seeds=Interval(*sorted((gain / 2, 2 * gain))))
    task = replace(task, interval=task.over_seeds)
    delta, words = sharing_messages(sharing_report(range(3), [task]))
    assert delta.startswith(f"sharing {word}2.5 % (95 %: ")
    assert words.startswith(f"topic is {'better' if gain > 0 else 'worse'} together by 2.0 points (95 %: ")
    assert words.endswith("p < 0.001) on 3,000 test texts")


@pytest.mark.parametrize(
    "task",
    [
        replace(TOPIC, together=(0.866,), interval=Interval(-0.101, -0.007), p=(0.08,)),  # of rows alone, not of the test
        replace(TOPIC, p=(0.01,)),  # of the test alone
        of_seeds(replace(TOPIC, p=(0.2,)), 0.001, 0.002, over=Interval(0.001, 0.01)),  # of seeds alone
    ],
)
def test_where_tests_disagree_nothing_is_called_noise(task: TaskSharing) -> None:
    report = sharing_report(range(len(task.together)), [task])
    assert sharing_messages(report)[1].startswith("topic: unclear, the tests disagree (")
    assert not report.tasks[0].beyond_noise


def test_caveats_are_shown() -> None:
    words = sharing_messages(sharing_report([0], [replace(TOPIC, split="validation"), STARS]))
    assert words[-2:] == [
        "topic has no test split: scored on its validation rows, which also chose the best epoch",
        "Delta leaves out stars: trained alone it scores 0 or below with some seed, so a relative change is undefined",
    ]
    assert "stars is worse together by 61.2 points of Spearman correlation x 100 (95 %: " in words[2]
    assert (
        sharing_messages(sharing_report([0], [STARS]))[0]
        == "Delta is undefined: trained alone, every task scores 0 or below with some seed"
    )


def test_the_table_has_all_figures() -> None:
    table, caption = sharing_tables(sharing_report([0], [TOPIC, STARS]), 80)
    lines = drawn(table).splitlines()
    assert lines[0] == "Multi-task vs. single-task (gain in points)"
    rows = [line.split() for line in lines]
    assert ["topic", "accuracy", "92.1", "91.8", "0.3", "-0.4..1.0", "0.2"] in rows
    assert ["stars", "Spearman", "-0.712", "-0.100", "-61.2", "-70.0..-50.0", "<0.001"] in rows
    wanted = "p: McNemar's exact test or a paired permutation test, Holm-adjusted for 2 tasks"
    assert drawn(caption).strip() == wanted


def test_several_seeds_have_an_interval_of_their_own_where_there_is_room() -> None:
    for width in (80, 120):
        table, caption = sharing_tables(several(), width)
        text = drawn(table, width)
        assert "-12.3..12.3" in text
        assert text.startswith("Multi-task vs. single-task, means over 3 seeds (gain in points)")
        assert drawn(caption, width).startswith("p: McNemar's exact test of the run itself, seed 0, Holm-adjusted for 2 tasks")
    assert "-12.3..12.3" not in drawn(sharing_tables(several(), 70)[0], 70)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", [*HOSTILE, "n" * 64, "two words"])
def test_any_name_fits_and_is_shown_as_it_is(name: str, width: int) -> None:
    found = several()
    report = replace(found, tasks=(replace(found.tasks[0], task=name), *found.tasks[1:]), left_out=(name,))
    text = "".join(drawn(shown, width) for shown in sharing_tables(report, width)[:1])
    assert widest(text) <= width
    assert "\x1b" not in text
    assert {"91.5", "91.8", "-0.4"} <= set(text.split())
    assert all("\x1b" not in line for line in sharing_messages(report))
    coloured = drawn(sharing_tables(report, width)[0], width, colour=True)
    assert STYLE.sub("", coloured) == text
