"""What notebooks show, with an imitation of IPython, and once (slow) in a real kernel."""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

import mtlkit
from mtlkit.cli import console
from mtlkit.notebook import MOST_LINES, CellOutput, below_kernel, in_kernel, summary_html
from mtlkit.report.training.notebook import run_shown
from mtlkit.training.events import BaselineEvent, Epoch, Finished, Note, Progress, TaskState

HOSTILE = "<script>alert(1)</script>|\n'\"&"
METRICS: dict[str, Any] = {
    "validation": {HOSTILE: {"accuracy": 0.9, "accuracy_interval": [0.8, 0.95]}},
    "test": {HOSTILE: {"kind": "classification", "split": "test", "n": 9, "accuracy": 0.8, "accuracy_interval": None}},
    "best_epoch": 2,
}


class Handle:
    """IPython's DisplayHandle, with what was shown; `made` are all."""

    made: ClassVar[list[Handle]] = []

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.calls: list[str] = []
        Handle.made.append(self)

    def display(self, data: dict[str, str], *, raw: bool) -> None:
        self._take("display", data, raw)

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        self._take("update", data, raw)

    def _take(self, call: str, data: dict[str, str], raw: bool) -> None:
        assert raw
        self.calls.append(call)
        self.shown.append(data["text/plain"])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[Handle]:
    """A process that is a kernel; the outputs of its cell."""
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.DisplayHandle = Handle  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    Handle.made.clear()
    return Handle.made


def text_of(html: str) -> str:
    """The text of well-formed HTML without scripts."""
    texts, opened = [], list[str]()
    parser = HTMLParser()
    parser.handle_data = texts.append  # type: ignore[method-assign]
    parser.handle_starttag = lambda tag, _: opened.append(tag)  # type: ignore[method-assign]
    parser.handle_endtag = lambda tag: opened.remove(tag)  # type: ignore[method-assign]
    parser.feed(html)
    parser.close()
    assert opened == []
    return " ".join(texts)


def test_html_is_escaped_and_has_no_colours() -> None:
    html = summary_html(HOSTILE, {HOSTILE: HOSTILE}, [HOSTILE], [[HOSTILE]])
    assert "<script" not in html
    assert text_of(html).count("<script>alert(1)</script>|") == 5
    assert "#" not in html.replace("&#", "")
    assert "background:transparent" in html


def test_a_finished_training() -> None:
    finished = Finished(Path("runs/a"), METRICS, 75.4, "mtlkit eval")
    html = finished._repr_html_()
    assert "<script" not in html
    shown = " ".join(text_of(html).split())
    for part in ("runs/a", "seconds 75", "kept epoch 2", "next mtlkit eval", "accuracy 90.0 (80.0..95.0) 80.0"):
        assert part in shown
    assert len(html) < 3000
    assert repr(finished).startswith("<Finished runs/a, 75 s>\n")
    assert "test" not in text_of(Finished(Path("a"), {"validation": METRICS["validation"]}, 1.0)._repr_html_())
    assert repr(Finished(Path("runs/base"), {"perplexity": 9.0}, 3.0)) == "<Finished runs/base, 3 s>"


def test_a_loaded_model(runs: Path) -> None:
    model = mtlkit.load(runs / "mtl")
    shown = " ".join(text_of(model._repr_html_()).split())
    for part in ("stage mtl", "vectors 32", "layers 2 of 32", "kind classification animal, tool accuracy 100.0 (61.0..100.0)"):
        assert part in shown
    assert repr(model) == f"<LoadedModel {runs / 'mtl'}: vectors of 32; heads: kind (classification), state (classification)>"
    assert "heads: none" in repr(mtlkit.load("mini"))
    assert "<table" not in mtlkit.load("mini")._repr_html_()


def test_a_training_in_a_kernel_is_one_output(kernel: list[Handle], data: Path, runs: Path, tmp_path: Path) -> None:
    finished = mtlkit.train_mtl(
        task=[f"new={data / 'kind'}"], init=str(runs / "sentence"), epochs=2, min_steps=0, out=tmp_path / "run",
    )  # fmt: skip
    (output,) = kernel
    assert output.calls[0] == "display"
    assert set(output.calls[1:]) == {"update"}
    warning, *lines = output.shown[-1].splitlines()
    assert warning.startswith("not trained (no data given): head:kind")
    assert lines[0].split() == ["epoch", "task", "train", "loss", "val", "loss", "accuracy", "macro-F1"]
    assert [line.split()[:2] for line in lines[1:3]] == [["1/2", "new"], ["2/2", "new"]]
    assert not any("step" in line for line in lines)
    assert finished.run == tmp_path / "run"


def test_steps_and_warnings_in_a_kernel(kernel: list[Handle], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtlkit.notebook.PAUSE", 0.0)
    step = Progress(3, 9, 1, 2, 1.0, 10, {"topic": 0.5}, {})
    state = TaskState("topic", "classification", 0.5, {"loss": 0.4, "accuracy": 0.9, "macro_f1": 0.9}, 3, 3, False)
    end = Finished(Path("a"), {}, 1.0)
    many = [Epoch(epoch, 40, (state,), 0.9, True) for epoch in range(1, 41)]
    assert run_shown([Note("said"), Note("careful", warning=True), step, BaselineEvent("alone", step), *many, end]) is end
    (output,) = kernel
    assert "careful\nepoch 1/2  step 3/9  topic loss 0.500" in output.shown
    assert "careful\nalone: epoch 1/2  step 3/9  topic loss 0.500" in output.shown
    assert not any("said" in text for text in output.shown)
    last = output.shown[-1].splitlines()
    assert (len(last), last[0]) == (MOST_LINES + 1, "... 30 lines before")


def test_updates_are_few(kernel: list[Handle]) -> None:
    clock = [0.0]
    output = CellOutput(lambda: clock[0])
    for step in range(1000):
        clock[0] = step / 1000
        output.show(f"step {step}")
    assert len(kernel[0].calls) == 2


def test_without_a_kernel_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "IPython", None)  # type: ignore[arg-type]
    assert not in_kernel()
    end = Finished(Path("a"), {}, 1.0)
    assert run_shown([Note("careful", warning=True), end]) is end
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "environment", [{"JPY_PARENT_PID": "1"}, {"TERM": "xterm-color", "PAGER": "cat", "GIT_PAGER": "cat"}, {"PAGER": "cat"}]
)
def test_a_command_in_a_cell_has_no_terminal(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JPY_PARENT_PID", "PAGER", "GIT_PAGER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm", "FORCE_COLOR": "1", **environment}.items():
        monkeypatch.setenv(name, value)
    console.stderr.cache_clear()
    try:
        assert below_kernel() == (len(environment) != 1 or "JPY_PARENT_PID" in environment)
        assert console.stderr().is_terminal != below_kernel()
    finally:
        console.stderr.cache_clear()


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, ("ipykernel", "nbclient"))), reason="needs ipykernel and nbclient")
def test_in_a_real_kernel(tmp_path: Path) -> None:
    import nbclient
    import nbformat

    cells = [
        "import sys, mtlkit",
        "!{sys.executable} -m mtlkit train-mtl --freeze backbone --out runs/shell",
        "finished = mtlkit.train_mtl(task='topic=sample:topic', epochs=1, min_steps=0, out='runs/python')",
        "finished",
        "mtlkit.load('runs/shell')",
    ]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    sizes = [len(json.dumps(output)) for output in outputs]
    assert "\x1b" not in json.dumps(outputs[1], ensure_ascii=False)  # redraws nothing
    assert "is ready" in str(outputs[1])
    assert sizes[1] < 10_000
    assert (len(outputs[2]), outputs[2][0].output_type) == (1, "display_data")
    assert sizes[2] < 2000
    for shown in outputs[3:]:
        assert set(shown[0].data) == {"text/plain", "text/html"}
