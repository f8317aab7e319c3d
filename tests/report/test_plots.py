from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from drawing import HOSTILE

from mtlkit.report.log_reader import Curves, Series, TaskCurves, read_curves
from mtlkit.report.plots import DOTS_PER_INCH, HEIGHT, WIDTH, curve_picture, panels_of
from mtlkit.runs.record import LOG

pytest.importorskip("matplotlib")


def titles(svg: bytes) -> list[str]:
    """Texts of a picture, which matplotlib keeps as comments beside their shapes."""
    parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.fromstring(svg, parser)
    return [(found.text or "").strip() for found in tree.iter(ElementTree.Comment)]


def test_an_svg_has_a_panel_a_task_with_titles_and_units(runs: Path) -> None:
    picture = curve_picture(read_curves(runs / "mtl" / LOG), "svg", "mtl")
    said = titles(picture)
    for text in ("mtl", "kind", "state", "validation scores", "gradient norm before clipping", "kind: accuracy"):
        assert said.count(text) == 1
    assert [said.count(text) for text in ("step", "loss", "train", "train, smoothed", "validation")] == [4, 2, 2, 2, 2]


def test_equal_curves_give_equal_bytes_without_a_date() -> None:
    line = Series((1, 2, 3, 4, 5), (3.0, 2.0, 1.0, 2.0, 1.0))
    found = Curves((TaskCurves("topic", line, Series()),), {}, Series(), ())  # few panels, as each takes a while
    first = curve_picture(found, "svg")
    assert first == curve_picture(found, "svg") != curve_picture(found, "svg", span=1)
    assert b"dc:date" not in first
    assert curve_picture(found, "png") == curve_picture(found, "png")


def test_a_png_has_the_size_of_its_panels(runs: Path) -> None:
    picture = curve_picture(read_curves(runs / "pretrain" / LOG), "png", "pretrain")
    assert picture.startswith(b"\x89PNG")
    size = struct.unpack(">II", picture[16:24])
    assert size == (2 * WIDTH * DOTS_PER_INCH, round((HEIGHT + 0.4) * DOTS_PER_INCH))


def test_panels_of_guards_and_of_watched_tasks() -> None:
    line = Series((1, 2, 3), (3.0, 2.0, 1.0))
    watched = TaskCurves("kept", Series(), Series((0, 3), (0.5, 0.75)))
    many = tuple(TaskCurves(f"task{place}", line, Series(), "accuracy", line) for place in range(3))
    found = Curves((watched, *many), {"l2sp": line}, Series(), tuple(range(99)))
    assert len(panels_of(found, None)) == 1 + 3 + 1 + 1
    said = titles(curve_picture(found, "svg"))
    assert "guard l2sp" in said
    assert "task2: accuracy" in said
    assert "kept: " not in "".join(said)
    single = Curves((watched,), {}, Series(), ())
    assert struct.unpack(">II", curve_picture(single, "png")[16:24])[0] == WIDTH * DOTS_PER_INCH


def test_names_are_no_formulas() -> None:
    """A name between dollars would be mathematics to matplotlib, and raise where it is none."""
    names = ["$x_$", *(name.replace("\x1b", "") for name in HOSTILE)]
    scores = Series((1, 2), (0.5, 0.75))
    tasks = tuple(TaskCurves(name, Series((1, 2), (2.0, 1.0)), Series(), "accuracy", scores) for name in names)
    said = titles(curve_picture(Curves(tasks, {}, Series(), ()), "svg", names[0]))
    assert said.count(names[0]) == 2
    assert set(names) <= set(said)
