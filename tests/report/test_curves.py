from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from drawing import HOSTILE, STYLE, drawn, widest

from mtlkit.report.curves import HEIGHT, curve_text, evaluation_lines, loss_ticks, thinned
from mtlkit.report.log_reader import Curves, Kept, Series, TaskCurves, read_curves
from mtlkit.runs.record import LOG

BRAILLE = re.compile("[\u2800-\u28ff]")


def falling(points: int) -> Series:
    return Series(tuple(range(1, points + 1)), tuple(2.0 / (1 + place) for place in range(points)))


def curves(*tasks: TaskCurves, **guards: Series) -> Curves:
    return Curves(tasks, guards, Series(), ())


def task(name: str = "topic", points: int = 40) -> TaskCurves:
    return TaskCurves(name, falling(points), Series((0, 20, 40), (1.75, 0.25, 0.5)), "accuracy", Series((20,), (0.5,)))


@pytest.mark.parametrize(("width", "columns"), [(80, 1), (120, 2), (400, 2)])
def test_a_real_training_fits_the_terminal(runs: Path, width: int, columns: int) -> None:
    found = read_curves(runs / "mtl" / LOG)
    text = drawn(curve_text(found, width), width)
    assert widest(text) <= width
    titles = [[name for name in line.split() if name in ("kind", "state")] for line in text.splitlines() if "kept: epoch" in line]
    assert titles == ([["kind"], ["state"]] if columns == 1 else [["kind", "state"]])
    assert len(text.splitlines()) == (2 // columns) * (HEIGHT + 2) + 1
    assert len(BRAILLE.findall(text)) > 20
    assert text.count("●") > 10  # one is in the legend; an evaluation may hide another
    for one in found.tasks:
        assert f"val {one.validation.values[-1]:.4g}, lowest {min(one.validation.values):.4g} at step" in text


def test_axes_reach_from_the_first_step_to_the_last_and_the_line_falls() -> None:
    lines = drawn(curve_text(curves(task()), 80, span=1)).splitlines()
    assert lines[0].strip() == "topic"
    assert lines[1].strip() == "train 0.05; val 0.5, lowest 0.25 at step 20"
    assert lines[-2].split() == ["0", "13", "27", "40"]
    assert lines[3].split("┤")[0].strip() == "2"
    inside = [line[9:79] for line in lines[3:-3]]
    assert BRAILLE.search(inside[0][:4])
    assert BRAILLE.search(inside[-1][-4:])
    assert not BRAILLE.search(inside[0][20:])
    dots = {line.index("●"): row for row, line in enumerate(inside) if "●" in line}
    assert list(dots) == pytest.approx([0, 69, 34.5], abs=1)  # from above: steps 0, 40 and 20


def test_without_colour_and_without_unicode() -> None:
    """Lines and dots differ in letters, not in colour alone."""
    found = curve_text(curves(task()), 80, ascii_only=True)
    text = drawn(found)
    assert text.isascii()
    assert ".." in text
    assert text.count("o") > 4
    coloured = drawn(curve_text(curves(task()), 80), colour=True)
    assert STYLE.sub("", coloured) == drawn(curve_text(curves(task()), 80))
    assert coloured != STYLE.sub("", coloured)


def test_too_few_points_make_no_curve() -> None:
    short = TaskCurves("topic", falling(2), Series((0, 2), (1.0, 0.5)))
    assert curve_text(curves(short), 80) is None
    assert curve_text(curves(), 80) is None
    text = drawn(curve_text(curves(short, task("state")), 80))
    assert "state" in text
    assert "topic" not in text


def test_a_watched_task_and_a_guard_have_plots() -> None:
    watched = TaskCurves("kept", Series(), Series((0, 5, 10), (0.5, 0.75, 1.0)))
    text = drawn(curve_text(curves(watched, l2sp=falling(9)), 80))
    assert "val 1, lowest 0.5 at step 0" in text
    assert re.search(r"^guard:l2sp +\ntrain 0\.\d+ +$", text, re.MULTILINE)


@pytest.mark.parametrize("values", [[0.0] * 4, [1.0] * 4, [1.0, 1 + 2**-52, 1.0], [1e300, -1e300, 0.0], [1e-300, 2e-300, 0.0]])
@pytest.mark.parametrize("width", [12, 58, 80])
def test_odd_losses_and_narrow_terminals(values: list[float], width: int) -> None:
    odd = TaskCurves("n" * 64, Series(tuple(range(len(values))), tuple(values)), Series((0,), (values[0],)))
    text = drawn(curve_text(curves(odd), width), width)
    assert widest(text) <= width
    assert BRAILLE.search(text) or width == 12
    said = "".join(text.split())
    assert f"val{values[0]:.4g},lowest{values[0]:.4g}atstep0" in said  # whole, however narrow


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_literally(name: str) -> None:
    text = drawn(curve_text(curves(task(name)), 80))
    assert text.splitlines()[0].strip() == name.replace("\x1b", "\N{REPLACEMENT CHARACTER}")


def test_thinned_keeps_the_ends() -> None:
    found = thinned(falling(1001), 100)
    assert (found.steps[0], found.steps[-1]) == (1, 1001)
    assert 90 <= len(found) <= 101
    assert thinned(falling(5), 100) == falling(5)
    assert thinned(Series(), 100) == Series()


def test_ticks_of_close_losses_differ() -> None:
    assert [name.strip() for name in loss_ticks([1.0981, 1.1013, 1.1052])] == ["1.098", "1.101", "1.105"]
    assert [name.strip() for name in loss_ticks([0.5, 1.0, 1.5])] == ["0.5", "1", "1.5"]


def test_the_kept_evaluation_is_marked() -> None:
    text = drawn(curve_text(replace(curves(task()), kept=Kept(20, 2)), 80))
    assert text.splitlines()[0].split() == ["topic", "kept:", "epoch", "2"]
    assert text.count("◆") == 2  # one is in the legend
    plain = drawn(curve_text(replace(curves(task()), kept=Kept(20)), 80, ascii_only=True))
    assert "kept: step 20" in plain
    assert "(K: kept)" in plain
    assert "◆" not in drawn(curve_text(curves(task()), 80))


@pytest.mark.parametrize(("height", "plots"), [(60, 3), (36, 3), (26, 2), (8, 0)])
def test_a_low_terminal_has_lower_or_fewer_plots(height: int, plots: int) -> None:
    text = drawn(curve_text(curves(task("one"), task("two"), task("three")), 80, height=height))
    assert len(text.splitlines()) <= height
    assert text.count("┌") == plots
    for name in ("one", "two", "three"):
        assert f"{name} " in text


def test_lines_of_evaluations() -> None:
    found = replace(curves(task(), task("a\nb")), kept=Kept(20, 2))
    lines = evaluation_lines(found, curves())
    assert lines[:2] == ["step 0  topic  val loss 1.75", "step 0  a b  val loss 1.75"]
    assert lines[2] == "step 20  topic  val loss 0.25  accuracy 0.500  kept so far"
    assert len(lines) == 6
    assert evaluation_lines(found, found) == []
