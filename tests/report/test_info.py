from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drawing import HOSTILE, STYLE, drawn, widest

from mtlkit.config.architecture import Architecture, Encoding, TaskSpec
from mtlkit.config.calibration import Calibration
from mtlkit.config.commands.run_commands import InfoOptions
from mtlkit.model.description import ModelDescription
from mtlkit.recipes.info import info
from mtlkit.report.info import data_rows, info_tables
from mtlkit.report.info_model import calibration
from mtlkit.report.run_facts import FileFacts, ParentFacts, PartSize, RunFacts
from mtlkit.report.text import printable
from mtlkit.runs.record import RunRecord

DIGESTS = {"train": {"rows": 12345, "sha256": "a" * 64}, "validation": {"rows": 80, "sha256": "b" * 64}}


def facts(name: str = "topic", labels: tuple[str, ...] = ("a", "b"), metrics: dict[str, Any] | None = None) -> RunFacts:
    """A run of one task, every name of which is `name`."""
    tasks = (TaskSpec(name, "classification", labels), TaskSpec("stars", "regression", (), center=3.0, spread=0.5))
    architecture = Architecture(20000, 2, 256, 4, 512, "bidirectional", pooling="weighted", family=name)
    record = RunRecord(
        stage="mtl",
        command=f"mtlkit train-mtl --task '{name}'",
        options={},
        seed=7,
        data={name: {"source": name, **DIGESTS, "watched": True}},
        metrics={"validation": {name: {"loss": 0.25, "accuracy": 0.5}}, "best_epoch": 3} if metrics is None else metrics,
        finished="2026-11-29T00:35:59.870520+00:00",
        versions={"torch": name, "python": "3.11.7"},
    )
    return RunFacts(
        name=f"runs/{name}",
        path=Path("runs"),
        kind="run",
        reason="as specified",
        record=record,
        checkpoint=ModelDescription("mtl", architecture, Encoding(256), tasks, (name,)),
        parts=(PartSize("embeddings", 750, 2, ("F32",)), PartSize(f"head:{name}", 250, 2, ("F16", "I8"))),
        lineage=(
            ParentFacts(name, "parent", 1, "c" * 64, "changed", "d" * 64, "there", "sentence", "mtlkit", "2026-11-28T01:00:00"),
            ParentFacts("runs/base", "parent", 2, "e" * 64, "gone"),
            ParentFacts("big", "teacher", 2, "f" * 64, "same", "f" * 64, "big"),
        ),
        installed={"torch": "2.13.0", "python": "3.11.7", "absent": None},
        files=(
            FileFacts(name, "ok", 1234567, "1" * 64, "1" * 64),
            FileFacts("gone.json", "missing", None, "2" * 64, reason="gone"),
        ),
        unlisted=(name,),
        exports=("onnx",),
        problems=("gone",),
    )


def shown(found: RunFacts, width: int = 80) -> str:
    return "".join(drawn(table, width) for table in info_tables(found, width))


def cells(text: str, start: str) -> list[str]:
    """The words of the one row that begins so."""
    (row,) = [line.split() for line in text.splitlines() if line.strip().startswith(start)]
    return row


@pytest.mark.parametrize("width", [80, 120])
def test_a_real_run_fits_the_terminal(runs: Path, width: int) -> None:
    text = shown(info(InfoOptions(run=runs / "mtl")), width)
    assert widest(text) <= width
    titles = ("Run", "Architecture", "Model parts", "Tasks", "Lineage", "Data", "Validation", "Versions", "Files")
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in lines if line in titles] == list(titles)
    assert lines[-1] == "all 6 files verified"
    assert "A sentence encoder with task heads" in lines[3]


def test_every_figure_is_there() -> None:
    text = shown(facts())
    assert cells(text, "embeddings") == ["embeddings", "750", "75.0", "%", "2", "F32"]
    assert cells(text, "all") == ["all", "1,000", "100.0", "%", "4", "F16,", "F32,", "I8"]
    assert "\n topic  0.25       0.5 \n" in text
    assert "2: a, b" in text
    assert "mean 3, standard deviation 0.5" in text
    assert "finished   2026-11-29 00:35:59 UTC" in text
    assert "512 tokens; texts are truncated to 256 (head-tail)" in text
    assert cells(text, "topic, train, watched")[-3:] == ["topic", "12,345", "a" * 12]
    assert cells(text, "torch") == ["torch", "topic", "2.13.0"]
    assert cells(text, "absent") == ["absent", "-", "-"]
    assert cells(text, "gone.json") == ["gone.json", "-", "2" * 12, "missing"]
    assert "best epoch 3" in text


def test_lineage_shows_each_parent_and_whether_it_has_changed() -> None:
    text = shown(facts())
    assert [line.split() for line in text.splitlines() if line.rstrip().endswith("changed")] == [
        ["topic", "sentence", "2026-11-28", "c" * 12, "changed"]
    ]
    assert f"topic has changed: digest {'d' * 64}, recorded {'c' * 64}" in " ".join(text.split())
    assert cells(text, "runs/base") == ["runs/base", "-", "-", "e" * 12, "gone"]
    assert cells(text, "teacher: big")[-1] == "same"
    assert "\n   runs/base" in text  # further in than what was made from it


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("colour", [False, True])
def test_names_are_shown_as_they_are(name: str, width: int, colour: bool) -> None:
    text = "".join(drawn(table, width, colour) for table in info_tables(facts(name, (name, "b\nc")), width))
    text = STYLE.sub("", text) if colour else text
    assert "\x1b" not in text
    assert widest(text) <= width
    assert f"runs/{printable(name)}" in text
    assert f"not listed in run.json: {printable(name)}" in text
    if width == 160:  # enough for nothing to be folded
        assert f"2: {printable(name)}, b c" in text
        assert text.count(printable(name)) == 17


def test_many_and_long_labels_are_counted_and_cut() -> None:
    text = shown(facts(labels=("x" * 500, *(f"label {number}" for number in range(70)))))
    assert "71: xxxx" in " ".join(text.split())
    assert "label 3, ..." in " ".join(text.split())
    assert "label 4" not in text
    assert widest(text) <= 80


def test_words_of_reports_and_figures_of_a_base() -> None:
    metrics = {
        "perplexity": 98.91234,
        "tokens": 1234567,
        "speed": 29664.5,
        "forgetting": {"words": ["topic lost [/] 3 points"], "stages": []},
    }
    text = shown(facts(metrics=metrics))
    assert "Metrics: perplexity 98.91, tokens 1,234,567, speed 29,664" in text
    assert "Forgetting\n  topic lost [/] 3 points\n" in text
    assert "Validation" not in text
    assert "Metrics" not in shown(facts(metrics={}))


def test_data_of_a_base_and_of_a_teacher() -> None:
    assert list(data_rows({"texts": "abc", "held_out": "def", "sources": ["one", "two"]})) == [
        ("texts", "one, two", "-", "abc"),
        ("held_out", "one, two", "-", "def"),
    ]
    taught = {"t": {"source": "s", "train": {"values": 5, "sha256": "x"}, "teacher": {"path": "p", "digest": "d"}}}
    assert list(data_rows(taught)) == [("t, train", "s", "5", "x")]


def test_a_training_that_is_not_finished() -> None:
    data = {"topic": {"source": "news.csv", "train": {}}}
    about = {"command": "train-mtl", "typed": "mtlkit train-mtl --head [/]", "init": "mini", "data": data, "losses": [1]}
    state = {"steps": [120, 1240], "about": about}
    text = shown(RunFacts("runs/mtl", Path("runs/mtl"), "unfinished training", "as specified", state=state))
    words = " ".join(text.split())
    assert "checkpoints step 120, step 1,240" in words
    assert "command mtlkit train-mtl --head [/]" in words
    assert "data topic (news.csv)" in words
    assert "mtlkit train-mtl --resume runs/mtl" in words
    assert "losses" not in text
    assert "Files" not in text


def test_calibrations_are_shown_where_there_are_some() -> None:
    topic = TaskSpec("topic", "classification", ("a", "b"), calibration=Calibration("temperature", 1.825, rows=1400))
    tags = TaskSpec("tags", "multi-label", ("a", "b"), calibration=Calibration("thresholds", thresholds=(0.2, 0.6), rows=9))
    assert calibration(topic) == "temperature 1.82 (1,400 rows)"
    assert calibration(tags) == "thresholds 0.20 to 0.60 (9 rows)"
    assert calibration(topic.uncalibrated()) == "-"
