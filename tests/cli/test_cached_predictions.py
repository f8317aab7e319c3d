"""Cached predictions: `eval`, `report` and `runs` use them, and nothing that has changed ever gives stale figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from every_kind import KINDS

from mtlkit.config.paths import cache_folder
from mtlkit.inference import cached_model
from mtlkit.runs.record import file_digest

Typed = Callable[..., Any]
USED = "using the cached predictions of"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and in it the place of predictions."""
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "predictions"


@pytest.fixture
def copied(mtl: Path, data: Path, tmp_path: Path) -> Path:
    """A copy of the run `mtl` whose data is a copy, too."""
    own = shutil.copytree(data, tmp_path / "data")
    run = shutil.copytree(mtl, tmp_path / "run")
    record = json.loads((run / "run.json").read_text().replace(str(data), str(own)))
    (run / "run.json").write_text(json.dumps(record))
    return run


def figures(typed: Typed, run: Path, *more: object) -> dict[str, Any]:
    answer = typed("eval", run, "--json", *more)
    assert answer.code == 0, answer.err
    tasks: dict[str, Any] = json.loads(answer.out)["tasks"]
    return {**tasks, "cached": USED in answer.err}


def test_heads_of_every_kind_are_evaluated_without_weights(
    typed: Typed,
    every_kind: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = every_kind / "one"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    first = figures(typed, run)
    assert not first.pop("cached")
    assert len(list(cache.iterdir())) == len(KINDS)
    monkeypatch.setattr(cached_model, "open_backend", lambda *_: pytest.fail("the weights were loaded"))
    again = figures(typed, run)
    assert again.pop("cached")
    assert again == first
    answer = typed("report", run, "-o", "r.html")
    assert (answer.code, USED in answer.err) == (0, True)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_no_text_or_label_is_stored(typed: Typed, copied: Path, cache: Path) -> None:
    assert typed("report", copied).code == 0
    stored = b"".join(path.read_bytes() for path in cache.iterdir())
    assert stored
    assert not any(word in stored for word in (b"animal", b"sleeps", b"horse"))


def test_changed_labels_and_texts_are_never_stale(typed: Typed, copied: Path, cache: Path) -> None:
    first = figures(typed, copied)
    path = copied.parent / "data" / "kind" / "test.csv"
    rows = path.read_text()
    path.write_text(rows.replace(",tool", ",animal", 3))  # the texts are the same, so their predictions are
    relabelled = figures(typed, copied)
    assert relabelled["cached"]
    assert relabelled["kind"]["per_class"]["animal"]["support"] == first["kind"]["per_class"]["animal"]["support"] + 3
    path.write_text(rows.replace("The horse sleeps", "A saw lies broken"))
    retold = figures(typed, copied)
    assert retold["kind"] == figures(typed, copied, "--no-cache")["kind"]
    assert retold["kind"] != first["kind"]


def test_another_model_under_the_same_name_is_evaluated(typed: Typed, every_kind: Path, cache: Path, tmp_path: Path) -> None:
    run = shutil.copytree(every_kind / "one", tmp_path / "run")
    assert not figures(typed, run)["cached"]
    shutil.rmtree(run)
    shutil.copytree(every_kind / "two", run)
    other = figures(typed, run)
    assert not other.pop("cached")
    expected = figures(typed, every_kind / "two", "--no-cache")
    assert not expected.pop("cached")
    assert other == expected


def test_another_threshold_is_applied_to_cached_outputs(typed: Typed, every_kind: Path, cache: Path, tmp_path: Path) -> None:
    run = shutil.copytree(every_kind / "one", tmp_path / "run")
    before = figures(typed, run)
    config = json.loads((run / "config.json").read_text())
    for task in config["tasks"]:
        if task["kind"] == "multi-label":
            task["calibration"] = {"method": "thresholds", "thresholds": [0.999] * len(task["labels"])}
    (run / "config.json").write_text(json.dumps(config))
    record = json.loads((run / "run.json").read_text())
    record["files"]["config.json"] = file_digest(run / "config.json")
    (run / "run.json").write_text(json.dumps(record))
    after = figures(typed, run)
    assert after["multi-label"] == figures(typed, run, "--no-cache")["multi-label"]
    assert after["multi-label"]["micro_f1"] != before["multi-label"]["micro_f1"]


def test_damaged_weights_are_refused_although_predictions_are_cached(typed: Typed, copied: Path, cache: Path) -> None:
    figures(typed, copied)
    path = copied / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    answer = typed("eval", copied)
    assert answer.code == 4
    assert "model.safetensors" in answer.err


def test_a_damaged_cache_is_named_and_computed_anew(typed: Typed, copied: Path, cache: Path) -> None:
    first = figures(typed, copied)
    for path in cache.iterdir():
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    answer = typed("eval", copied, "--json")
    assert "is damaged" in answer.err
    assert USED not in answer.err
    assert json.loads(answer.out)["tasks"]["kind"] == first["kind"]
    assert figures(typed, copied)["cached"]


def test_no_cache_neither_reads_nor_writes(typed: Typed, copied: Path, cache: Path) -> None:
    for command in (("eval", copied), ("report", copied), ("runs", copied, copied)):
        assert typed(*command, "--no-cache").code == 0
    assert not cache.exists()
    figures(typed, copied)
    assert USED not in typed("eval", copied, "--no-cache").err


def test_other_options_have_predictions_of_their_own(typed: Typed, copied: Path, cache: Path) -> None:
    plain = figures(typed, copied)
    prompted = figures(typed, copied, "--prompt", "a broken tool: ")
    assert not prompted["cached"]
    assert prompted["kind"] == figures(typed, copied, "--prompt", "a broken tool: ", "--no-cache")["kind"]
    assert figures(typed, copied)["kind"] == plain["kind"]
    assert not figures(typed, copied, "--split", "validation")["cached"]
    assert not figures(typed, copied, "--precision", "bf16")["cached"]


def test_a_cache_that_cannot_be_written_changes_nothing(typed: Typed, copied: Path, cache: Path) -> None:
    cache_folder().mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    assert figures(typed, copied)["kind"] == figures(typed, copied, "--no-cache")["kind"]


def test_predictions_are_listed_and_swept_with_the_other_caches(typed: Typed, copied: Path, cache: Path) -> None:
    figures(typed, copied)
    listed = {one["kind"]: one["files"] for one in json.loads(typed("info", "--caches", "--json").out)["caches"]}
    assert listed["predictions"] == 2
    assert typed("info", "--clear-caches").code == 0
    assert not cache.exists()
