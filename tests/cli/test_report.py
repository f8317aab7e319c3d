"""`mtlkit report`: what the page says, that it is harmless, and how it works in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from browsing import watched_page

from mtlkit.runs.lock import locked

Typed = Callable[..., Any]

HARMFUL = "<script>document.title='harmed'</script>"
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


@pytest.fixture
def page(typed: Typed, mtl: Path) -> Path:
    answer = typed("report", mtl, "--split", "validation")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("report.html: ")
    return Path("report.html")


def test_the_page_has_the_figures_of_eval_and_is_one_small_file(typed: Typed, mtl: Path, page: Path) -> None:
    text = page.read_text()
    document = json.loads(typed("eval", mtl, "--split", "validation", "--json").out)
    for name, metrics in document["tasks"].items():
        assert f">{name}</h2>" in text
        if "accuracy" in metrics:
            assert f'<th scope="row">accuracy</th><td class="number">{100 * metrics["accuracy"]:.1f}</td>' in text
    assert len(text) < 1_500_000
    assert "https://" not in SVG.sub("", text)
    assert "http://" not in SVG.sub("", text)
    assert "mtlkit train-mtl" in text


def test_charts_come_from_the_log_with_the_kept_epoch_and_values(page: Path) -> None:
    charts = [ElementTree.fromstring(found) for found in SVG.findall(page.read_text())]
    tips = [element.get("data-tip", "") for chart in charts for element in chart.iter()]
    assert any(re.fullmatch(r"step [\d,]+: validation [\d.]+", tip) for tip in tips)
    assert any(re.fullmatch(r"step [\d,]+: train [\d.]+", tip) for tip in tips)
    assert any(re.fullmatch(r"kept: epoch \d+", element.text or "") for chart in charts for element in chart.iter())
    assert all(chart.get("aria-label") for chart in charts)
    ids = [element.get("id") for chart in charts for element in chart.iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_what_data_holds_is_escaped(typed: Typed, harmful: Path) -> None:
    for suffix in ("html", "md"):
        answer = typed("report", harmful, "-o", f"r.{suffix}")
        assert answer.code == 0, answer.err
        text = Path(f"r.{suffix}").read_text()
        assert HARMFUL not in text
        assert "harmed" in text


@pytest.fixture
def harmful(typed: Typed, tmp_path: Path) -> Path:
    """A run whose labels and texts are HTML."""
    rows = [{"text": f"{HARMFUL} {word} {number}", "label": label} for number in range(12) for word, label in LABELS.items()]
    rows[-1]["label"] = rows[0]["label"]  # a mistake
    data = tmp_path / "harmful"
    data.mkdir()
    for split, own in (("train", [*rows[:16], {**rows[0], "label": rows[1]["label"]}]), ("test", rows[16:])):
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    out = tmp_path / "harm"
    answer = typed("train-mtl", "--task", f"a={data}", "--freeze", "backbone", "--out", out, "--epochs", 1)
    assert answer.code == 0, answer.err
    return out


LABELS = {"river": HARMFUL, "engine": "b|c"}


def test_an_unfinished_training_and_missing_data_have_a_page_too(typed: Typed, mtl: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    (half / "state").mkdir(parents=True)
    shutil.copy(mtl / "metrics.jsonl", half / "state")
    assert typed("report", half, "-o", "half.html").code == 0
    assert "<svg" in Path("half.html").read_text()
    moved = shutil.copytree(mtl, tmp_path / "moved")
    config = (moved / "run.json").read_text()
    record = json.loads(config)
    for about in record["data"].values():
        about["source"] = "gone.csv"
    (moved / "run.json").write_text(json.dumps(record))
    answer = typed("report", moved, "-o", "moved.html")
    assert answer.code == 0, answer.err
    assert "not evaluated: " in answer.err
    assert "not evaluated: " in Path("moved.html").read_text()


def test_the_page_of_an_unfinished_training_says_how_far_it_got(typed: Typed, killed: Path, tmp_path: Path) -> None:
    half = shutil.copytree(killed, tmp_path / "half")
    lines = [json.loads(line) for line in (half / "state" / "metrics.jsonl").read_text().splitlines()]
    lines += [{"type": "epoch", "step": 12, "epoch": 1, "tasks": [task("kind", 0.625), task("state", 0.5)]}]
    (half / "state" / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    step = max(line["step"] for line in lines if line.get("type") == "step")
    assert typed("report", half, "-o", "stopped.html").code == 0
    with locked(half, "mtlkit train-mtl", option="--out"):
        assert typed("report", half, "-o", "running.html").code == 0
    for name, state in (("stopped", "interrupted"), ("running", "running")):
        page = Path(f"{name}.html").read_text()
        assert f"<dt>state</dt><dd>{state} at step {step} (epoch 1 of 3)</dd>" in page
        assert "<dt>what</dt><dd>A sentence encoder with task heads: unfinished training</dd>" in page
        assert "<dt>started from</dt><dd>fresh weights</dd>" in page
        assert "<strong>62.5</strong><span>validation accuracy<br>at step 12</span>" in page
        assert ("resume with" in page) == (state == "interrupted")
        assert "mtlkit train-mtl" in page.partition("Repeat it</h2>")[2]


def task(name: str, accuracy: float) -> dict[str, Any]:
    return {"task": name, "kind": "classification", "validation": {"loss": 0.6, "accuracy": accuracy}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "a.pdf"], "is not one of .html, .md"),
        (["-o", "none/a.html"], "cannot write"),
        (["-o", "a.html", "--format", "md"], "another form"),
        (["--pictures", "file"], "is a file"),
    ],
)
def test_what_cannot_be_written_is_refused_at_once(typed: Typed, mtl: Path, arguments: list[str], said: str) -> None:
    Path("file").touch()
    answer = typed("report", mtl, *arguments)
    assert answer.code == 2
    assert said in answer.err


def test_an_existing_page_is_kept(typed: Typed, mtl: Path) -> None:
    Path("report.html").write_text("mine")
    assert typed("report", mtl).code == 2
    assert Path("report.html").read_text() == "mine"


def test_runs_record_their_frozen_parts_and_findings(typed: Typed, harmful: Path) -> None:
    record = json.loads((harmful / "run.json").read_text())["metrics"]
    assert [part["before"] == part["after"] for part in record["freezing"]["parts"]] == [True]
    (finding,) = record["data_findings"]["words"]
    assert "label" in finding
    assert typed("report", harmful, "-o", "r.html", "--split", "none").code == 0
    text = Path("r.html").read_text()
    assert "Frozen parts</h2>" in text
    (part,) = record["freezing"]["parts"]
    assert text.count(f"<td>{part['before'][:16]}</td>") == 2  # before and after
    assert f"<li>{escape(finding)}</li>".replace("&#x27;", "&#39;") in text


@pytest.mark.parametrize(("stage", "metric"), [("pretrain", "perplexity"), ("sentence", "accuracy")])
def test_every_stage_has_a_page(stage: str, metric: str, typed: Typed, runs: Path) -> None:
    assert typed("report", runs / stage).code == 0
    text = Path("report.html").read_text()
    assert "<svg" in text
    assert f'<th scope="row">{metric}</th>' in text


def test_every_chart_becomes_a_file_and_none_is_overwritten(typed: Typed, mtl: Path) -> None:
    folder = Path("pictures")
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    answer = typed("report", mtl, "--split", "validation", "--pictures", folder, "--json")
    assert answer.code == 0, answer.err
    names = {Path(path).name for path in json.loads(answer.out)["pictures"]}
    assert names == {path.name for path in folder.iterdir()} - {"notes.txt"}
    assert {"overview.svg", "kind-loss.svg", "kind-score.svg", "kind-confusion.svg", "kind-calibration.svg"} <= names
    assert all(ElementTree.parse(folder / name).getroot().tag.endswith("}svg") for name in names)
    again = typed("report", mtl, "--split", "validation", "-o", "b.html", "--pictures", folder)
    assert again.code == 2
    assert "already" in again.err
    assert not Path("b.html").exists()
    assert typed("report", mtl, "--split", "validation", "-o", "b.html", "--pictures", folder, "--overwrite").code == 0


def test_a_pull_request_has_a_short_form(typed: Typed, harmful: Path) -> None:
    assert typed("report", harmful, "--format", "md").out.startswith("report.md: ")
    lines = Path("report.md").read_text().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert any(r"b\|c" in line for line in tables)
    for first, second in pairwise(lines):
        if set(second) <= set("|-: ") and second.startswith("|"):
            assert re.sub(r"\\\|", "", first).count("|") == second.count("|")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_in_a_browser(typed: Typed, harmful: Path, browser: Any, width: int, scheme: str) -> None:
    assert typed("report", harmful, "-o", "r.html").code == 0
    view, wrong, asked = watched_page(browser, Path("r.html"), width, scheme)
    cell = next(one for one in view.query_selector_all(".matrix button") if not one.inner_text().startswith("0"))
    cell.click()
    assert cell.get_attribute("aria-label") in view.inner_text(".matrix .texts")
    assert HARMFUL in view.inner_text(".matrix .texts li >> nth=0")
    column = "table.sortable tbody tr td:nth-child(3)"
    view.click("table.sortable th:nth-child(3) button")
    rising = [float(value.inner_text()) for value in view.query_selector_all(column)]
    view.click("table.sortable th:nth-child(3) button")
    assert [float(value.inner_text()) for value in view.query_selector_all(column)] == rising[::-1]
    assert view.get_attribute("table.sortable th:nth-child(3)", "aria-sort") == "descending"
    point = view.locator("figure svg [data-tip]").last
    point.evaluate("use => scrollTo(0, use.getBoundingClientRect().y + scrollY - 300)")
    x, y = point.evaluate("use => { const box = use.getBoundingClientRect(); return [box.x, box.y]; }")
    view.mouse.move(x + 2, y - 2)
    assert view.inner_text(".tip") == point.get_attribute("data-tip")
    view.focus("figure svg")
    view.keyboard.press("ArrowRight")
    assert view.is_visible(".tip")
    view.focus(".matrix td button")
    view.keyboard.press("ArrowDown")
    view.keyboard.press("Enter")
    assert re.match(r"1 text of class .* predicted as .*:|\d+ texts of class .* predicted as ", view.inner_text(".matrix .texts"))
    assert view.evaluate("document.activeElement.closest('tr').rowIndex") == 2
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert view.title() == "harm: mtlkit report"
    assert (wrong, len(asked)) == ([], 1)
