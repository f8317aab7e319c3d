from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import t

from mtlkit.config.architecture import TaskSpec
from mtlkit.evaluation.intervals import Interval
from mtlkit.evaluation.sharing import TaskSharing, sharing_report, task_sharing
from mtlkit.evaluation.task_metrics import score

TOPIC = TaskSpec("topic", "classification", ("a", "b"))
STARS = TaskSpec("stars", "regression", ())
TAGS = TaskSpec("tags", "multi-label", ("a", "b"))


def saying(classes: np.ndarray) -> np.ndarray:
    """Logits of the given classes."""
    return np.eye(2, dtype=np.float32)[classes]


def right(labels: np.ndarray, *wrong: range) -> np.ndarray:
    """Outputs that are right but for some rows."""
    told = labels.copy()
    for rows in wrong:
        told[list(rows)] ^= 1
    return saying(told)


def test_mcnemar_and_metrics_of_every_seed() -> None:
    labels = np.arange(100) % 2
    together = [right(labels, range(2)), right(labels, range(10))]
    alone = [right(labels, range(1, 13)), right(labels, range(10))]
    found = task_sharing(TOPIC, "test", labels, together, alone)
    assert (found.together, found.alone) == ((0.98, 0.9), (0.88, 0.9))
    assert (found.only_together, found.only_alone) == ((11, 0), (1, 0))  # row 1 is wrong in both
    assert found.p == pytest.approx((2 * (1 + 12) / 2**12, 1.0))  # two-sided binomial tails by hand: 0 or 1 of 12
    assert found.difference == pytest.approx(0.05)
    half = t.ppf(0.975, 1) * np.std([0.1, 0.0], ddof=1) / np.sqrt(2)
    assert found.over_seeds is not None
    assert found.over_seeds.to_json() == pytest.approx([0.05 - half, 0.05 + half])
    change = np.repeat([0.5, -0.5, 0.0], [11, 1, 88])  # of each row, mean over seeds
    assert found.interval.low == pytest.approx(change.mean() - 1.96 * change.std() / 10, abs=0.006)
    assert found.interval.high == pytest.approx(change.mean() + 1.96 * change.std() / 10, abs=0.006)


def test_the_same_models_do_not_differ() -> None:
    labels = np.arange(40) % 2
    outputs = right(labels, range(5))
    found = task_sharing(TOPIC, "test", labels, [outputs], [outputs.copy()])
    assert (found.difference, found.interval, found.over_seeds, found.p) == (0.0, Interval(0.0, 0.0), None, (1.0,))
    assert not sharing_report([0], [found]).tasks[0].beyond_noise


@pytest.mark.parametrize("spec", [STARS, TAGS], ids=lambda spec: spec.kind)
def test_other_kinds_have_a_permutation_test(spec: TaskSpec) -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=(60, 2 if spec.labels else 1))
    labels = (truth > 0).astype(np.float32) if spec.labels else truth[:, 0]
    good, poor = (truth + noise * random.normal(size=truth.shape) for noise in (0.2, 3.0))
    better, same = (task_sharing(spec, "test", labels, [good], [other]) for other in (poor, good.copy()))
    assert better.p[0] < 0.01
    assert same.p == (1.0,)
    assert (better.only_together, better.only_alone) == ((), ())
    assert better.differences[0] == score(spec, good, labels)[better.metric] - score(spec, poor, labels)[better.metric]


def task(name: str, together: list[float], alone: list[float], p: float = 0.001, seeds: Interval | None = None) -> TaskSharing:
    gain = together[0] - alone[0]
    whole = Interval(*sorted((gain / 2, 2 * gain)))
    first = (p, *[1.0] * (len(together) - 1))
    return TaskSharing(name, "regression", "spearman", "test", 50, tuple(together), tuple(alone), whole, seeds, first)


def test_delta_is_the_mean_share_of_all_tasks() -> None:
    tasks = [task("a", [0.9, 0.8], [0.75, 0.8]), task("b", [0.45, 0.55], [0.5, 0.5])]
    report = sharing_report(range(3, 5), tasks)
    assert report.seeds == (3, 4)
    assert report.deltas == pytest.approx(((0.2 - 0.1) / 2, (0.0 + 0.1) / 2))
    assert report.delta == pytest.approx(0.05)
    assert report.interval is not None
    assert report.interval.to_json() == pytest.approx([0.05, 0.05])
    assert report.beyond_noise


def test_one_seed_has_no_interval_and_is_no_proof() -> None:
    report = sharing_report([0], [task("a", [0.9], [0.1])])
    assert (report.delta, report.interval, report.beyond_noise) == (pytest.approx(8), None, False)


@pytest.mark.parametrize("alone", [0.0, -0.2])
def test_a_task_at_nothing_alone_is_left_out_of_delta(alone: float) -> None:
    tasks = [task("a", [0.9, 0.9], [0.6, 0.6]), task("b", [0.5, 0.5], [0.4, alone])]
    report = sharing_report([0, 1], tasks)
    assert (report.deltas, report.left_out) == (pytest.approx((0.5, 0.5)), ("b",))
    assert sharing_report([0, 1], tasks[1:]).delta is None
    assert sharing_report([0, 1], tasks[1:]).deltas == ()


def test_the_run_is_judged_by_p_of_the_first_seed_raised_for_all_tasks() -> None:
    report = sharing_report([0], [task("a", [0.9], [0.8], 0.03), task("b", [0.9], [0.8], 0.02), task("c", [0.8], [0.9], 0.001)])
    assert [one.holm for one in report.tasks] == pytest.approx([0.04, 0.04, 0.003])
    assert [one.beyond_noise for one in report.tasks] == [True, True, True]
    report = sharing_report([0], [task("a", [0.9], [0.8], 0.03), task("b", [0.9], [0.8], 0.03)])
    assert [one.beyond_noise for one in report.tasks] == [False, False]


@pytest.mark.parametrize(
    ("together", "seeds", "sure"),
    [
        ([0.9, 0.9], Interval(0.01, 0.2), True),
        ([0.9, 0.9], Interval(-0.01, 0.2), False),  # other seeds do not bear it out
        ([0.7, 1.0], Interval(0.01, 0.2), False),  # the run went the other way
    ],
)
def test_several_seeds_must_agree_with_the_run(together: list[float], seeds: Interval, sure: bool) -> None:
    (found,) = sharing_report([0, 1], [task("a", together, [0.8, 0.8], 0.001, seeds)]).tasks
    assert found.beyond_noise == sure


def test_a_report_is_plain_json() -> None:
    report = sharing_report([0, 1], [task("a", [0.9, 0.8], [0.8, 0.8], 0.2, Interval(-0.1, 0.2))])
    found = json.loads(json.dumps(report.to_json()))
    assert found["seeds"] == [0, 1]
    assert found["interval"] == pytest.approx(report.interval.to_json() if report.interval else None)
    (one,) = found["tasks"]
    assert (one["over_seeds"], one["beyond_noise"], one["p"]) == ([-0.1, 0.2], False, [0.2, 1.0])
    assert one["difference"] == pytest.approx(0.05)
