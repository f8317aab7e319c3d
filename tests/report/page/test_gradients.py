from __future__ import annotations

import re

from mtlkit.report.page.gradients import LEAST_STEPS, MOST_COLUMNS, bins, gradient_section
from mtlkit.training.diagnostics.gradient_stats import GradientAgreement, TrackedPair, TrackedStep

PARTS = ("embeddings", "layers:0", "head:a")


def tracked(steps: int, tasks: tuple[str, ...] = ("a", "b")) -> dict[int, TrackedStep]:
    """Steps with opposed gradients in the block, and none in the embeddings."""
    opposed = GradientAgreement(-0.5, 0.9, 1.0)
    pairs = [(one, other) for place, one in enumerate(tasks) for other in tasks[place + 1 :]]
    parts = {"backbone": opposed, "layers:0": opposed, "embeddings": None}
    norms = {"embeddings": None, "layers:0": 0.1, "head:a": 10.0}
    ratios = dict.fromkeys(PARTS, 0.001)
    return {
        10 * step: TrackedStep(norms, ratios, tuple(TrackedPair(pair, parts) for pair in pairs)) for step in range(1, steps + 1)
    }


def test_norms_and_conflicts_by_part() -> None:
    section = gradient_section(tracked(9))
    assert section is not None
    (block,) = section.tables
    assert block.rows[1] == ("layers:0", "1.0e-01", "1.0e-03", "-0.500", "100 %", "0.90")
    assert block.rows[0][1:] == ("-", "1.0e-03", "-", "-", "-")
    assert any("conflict in 100 % of steps" in line for line in section.lines)
    assert [chart.name for chart in section.charts] == ["gradients", "conflicts"]
    norms, cosines = (chart.inline() for chart in section.charts)
    assert 'data-tip="head:a, step 10: 10"' in norms
    assert 'data-tip="layers:0, step 30: -0.5"' in cosines
    assert "<image" not in norms + cosines


def test_many_pairs_have_a_table_of_their_own() -> None:
    section = gradient_section(tracked(LEAST_STEPS, ("a", "b", "c", "d")))
    assert section is not None
    parts, pairs = section.tables
    assert len(parts.columns) == 3
    assert len(pairs.rows) == 6
    assert 'data-tip="c, d, step 10: -0.5"' in section.charts[1].inline()


def test_few_steps_have_a_table_only_and_many_are_averaged() -> None:
    few, many = gradient_section(tracked(1)), gradient_section(tracked(1000))
    assert few is not None
    assert many is not None
    assert (few.charts, few.lines[0]) == ((), "Means over 1 tracked step, before clipping.")
    assert len(re.findall(r'data-tip="head:a, steps [\d,]+ to [\d,]+: 10"', many.charts[0].inline())) <= MOST_COLUMNS
    assert gradient_section({}) is None
    assert sum(map(len, bins(1000))) == 1000
