"""`mtlkit report A B`: what the page that compares runs says, that it is harmless, and how it looks in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browsing import watched_page
from every_kind import KINDS

from mtlkit.report.tables import figure

Typed = Callable[..., Any]

SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
HARMFUL = "<script>document.title='harmed'<"  # no slash, as it is the name of a folder, too


@pytest.fixture
def page(typed: Typed, every_kind: Path) -> str:
    answer = typed("report", every_kind / "one", every_kind / "two", "-o", "both.html")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("both.html: ")
    return Path("both.html").read_text()


def test_the_page_has_the_tests_of_runs_for_every_kind(typed: Typed, every_kind: Path, page: str) -> None:
    document = json.loads(typed("runs", every_kind / "one", every_kind / "two", "--json").out)
    for test in document["tests"]:
        if test["task"] in KINDS:
            main = test["metrics"][test["metric"]]
            assert f">{test['task']}</h2>" in page
            assert f'<td class="number">{figure(main["model"], test["metric"])}</td>' in page
            assert f"{test['task']}: " in page
    assert "kind: two is not comparable because one: its data is not recorded" in page
    for option in document["options"]:
        assert f">{option}</th>" in page
    assert {"--head", "--seed"} <= document["options"].keys()


def test_the_page_is_one_small_file_without_a_network(page: str) -> None:
    assert len(page) < 1_500_000
    assert "://" not in SVG.sub("", page)


def test_solved_heads_have_no_curves_and_the_pages_say_why(typed: Typed, solved: Path, mtl: Path, tmp_path: Path) -> None:
    assert typed("report", solved, "--split", "none", "-o", "one.html").code == 0
    assert Path("one.html").read_text().count("No curves: its head was solved by L-BFGS, which takes no steps.") == 2
    other = shutil.copytree(mtl, tmp_path / "other")
    state = {"task": "kind", "kind": "classification", "validation": {"loss": 0.1, "accuracy": 0.5}}
    lines = [
        {"type": "event", "event": "head_solved", "task": "kind"},
        {"type": "epoch", "epoch": 0, "step": 0, "tasks": [state]},
    ]
    (other / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert typed("report", mtl, other, "--split", "none", "-o", "two.html").code == 0
    text = Path("two.html").read_text()
    assert "No curves of other: its head was solved by L-BFGS, which takes no steps." in text
    assert "fewer than three" not in text


def test_curves_are_overlaid_with_the_kept_steps(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    other = shutil.copytree(mtl, tmp_path / "other")
    half = tmp_path / "half"
    (half / "state").mkdir(parents=True)
    lines = (mtl / "metrics.jsonl").read_text().splitlines(keepends=True)
    (half / "state" / "metrics.jsonl").write_text("".join(lines[: len(lines) // 2]) + lines[-1][:20])
    answer = typed("report", mtl, other, half, "--split", "none", "-o", "r.html")
    assert answer.code == 0, answer.err
    assert "half is interrupted: only its log is shown" in answer.err
    text = Path("r.html").read_text()
    charts = [ElementTree.fromstring(found) for found in SVG.findall(text)]
    assert len(charts) == 6  # of two tasks: training loss, validation loss, score
    for chart in charts:
        tips = {element.get("data-tip", "").partition(",")[0] for element in chart.iter()} - {""}
        assert tips == {"mtl", "other", "half"}
        words = [element.text or "" for element in chart.iter()]
        assert sum("kept: epoch" in word for word in words) == 2
    assert "No option differs." in text


def test_how_predictions_changed_is_shown(typed: Typed, every_kind: Path, page: str) -> None:
    assert "Confusion matrix of two; in brackets the change from one" in page
    assert "Rows that only one gets right" in page
    changed = Path("both.md")
    assert typed("report", every_kind / "one", every_kind / "two", "-o", changed).code == 0
    text = changed.read_text()
    assert "| task | run | metric | rows | one | run's | change | 95 % | p |" in text
    assert re.search(r"^\| classification \| two \| accuracy \| 24 \| \d", text, re.MULTILINE)


def test_charts_are_written_as_pictures(typed: Typed, every_kind: Path, mtl: Path, tmp_path: Path) -> None:
    other = shutil.copytree(mtl, tmp_path / "other")
    answer = typed("report", mtl, other, "--split", "none", "-o", "r.html", "--pictures", "pictures", "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert document["runs"] == [str(mtl), str(other)]
    assert {"kind-training-loss.svg", "kind-validation-loss.svg", "kind-score.svg"} <= {
        path.name for path in Path("pictures").iterdir()
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["{mtl}"], "a run is named twice"), (["{mtl}/best"], "is not a run"), (["{mtl}", "-o", "{mtl}/a.html"], "")],
)
def test_what_cannot_be_compared_is_refused(typed: Typed, mtl: Path, arguments: list[str], said: str) -> None:
    answer = typed("report", mtl, *(argument.format(mtl=mtl) for argument in arguments))
    assert answer.code == 2
    assert said in answer.err
    assert not Path("report.html").exists()


@pytest.fixture(scope="module")
def harmful(forks: Any, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs whose names, labels and texts are HTML or Markdown."""
    folder = tmp_path_factory.mktemp("harmful")
    labels = {"river": f"{HARMFUL}/script>", "engine": "b|c\nd"}
    rows = [
        {"text": f"{HARMFUL}/script> {word} {number}", "label": label} for number in range(16) for word, label in labels.items()
    ]
    (folder / "data").mkdir()
    for split, own in (("train", rows[:20]), ("test", [*rows[20:], {**rows[0], "label": rows[1]["label"]}])):
        (folder / "data" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    outs = [folder / f"{HARMFUL}a|b", folder / "*other*"]
    for out, rate in zip(outs, (0.003, 1e-9), strict=True):
        options = ("--freeze", "backbone", "--solver", "sgd", "--epochs", 3, "--learning-rate", rate)
        child = forks.start("train-mtl", "--task", f"a={folder / 'data'}", *options, "--out", out)
        assert child.wait() == 0, child.err
    return outs


def test_what_data_holds_is_escaped(typed: Typed, harmful: list[Path]) -> None:
    for suffix in ("html", "md"):
        answer = typed("report", *harmful, "-o", f"r.{suffix}")
        assert answer.code == 0, answer.err
        text = Path(f"r.{suffix}").read_text()
        assert HARMFUL not in text
        assert "harmed" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({re.sub(r"\\.", "", line).count("|") for line in rows if "b\\|c" in line}) >= 1
    assert "\\*other\\*" in text


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (390, "light"), (1280, "light"), (1280, "dark")])
def test_in_a_browser(typed: Typed, harmful: list[Path], browser: Any, width: int, scheme: str) -> None:
    assert typed("report", *harmful, "-o", "r.html").code == 0
    view, wrong, asked = watched_page(browser, Path("r.html"), width, scheme)
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.title().endswith(": mtlkit report")
    chart = view.locator("figure svg").first
    chart.scroll_into_view_if_needed()
    chart.focus()
    view.keyboard.press("ArrowRight")
    assert "step 1: " in view.inner_text(".tip")
    assert (wrong, len(asked)) == ([], 1)
