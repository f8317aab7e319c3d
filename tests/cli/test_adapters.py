"""`--adapter` from the command line: a new task with its own adapter leaves the answers of old ones as they were, bit by bit."""

from __future__ import annotations

import json
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mtlkit.inference.load_model import load
from mtlkit.model.description import read_checkpoint
from mtlkit.runs.record import read_record

if TYPE_CHECKING:
    from .conftest import Answer, Typed

SHORT = ("--epochs", 2, "--min-steps", 0, "--batch-tokens", 256)
TEXTS = ("The otter sleeps near the river.", "A lathe lies broken on the wall.", "", "cat " * 40)


@pytest.fixture(scope="session")
def adapted_run(runs: Path, data: Path) -> Path:
    """The run `mtl` with a third task, `sort`, which has an adapter of the upper layer."""
    from mtlkit.config.commands.train_mtl import TrainMtlOptions
    from mtlkit.recipes.train_mtl import train_mtl

    out = runs.parent / f"{runs.name}-adapted"
    short: dict[str, Any] = {"epochs": 2, "min_steps": 0, "batch_tokens": 256}
    source, adapter = f"sort={data / 'kind'}", {"adapter": "lora:2@layers:1", "adapter_per": "task"}
    train_mtl(TrainMtlOptions(init=str(runs / "mtl"), task=[source], out=out, **adapter, **short))
    return out


def digests(typed: Typed, run: Path, *more: object) -> dict[str, str]:
    """SHA-256 of what `predict --json` prints for each task."""
    done = typed("predict", *TEXTS, "--model", run, "--json", *more)
    assert done.code == 0, done.err
    rows = [row["tasks"] for row in json.loads(done.out)["predictions"]]
    return {task: sha256(json.dumps([row[task] for row in rows]).encode()).hexdigest() for task in rows[0]}


def test_a_new_task_leaves_the_answers_of_others_as_they_were(typed: Typed, runs: Path, adapted_run: Path, data: Path) -> None:
    before = digests(typed, runs / "mtl")
    with_sort = digests(typed, adapted_run)
    assert {task: with_sort[task] for task in before} == before
    out = adapted_run.parent / "more"
    more = ("--init", adapted_run, "--adapter", "lora:4", "--adapter-per", "task", "--watch", f"kind={data / 'kind'}")
    done = typed("train-mtl", "--task", f"mood={data / 'state'}", *more, *SHORT, "--out", out, "--overwrite")
    assert done.code == 0, done.err
    assert "frozen and unchanged (same SHA-256): backbone" in done.err
    assert read_record(out).metrics["forgetting"]["changes"][0]["change"] == 0.0
    now = digests(typed, out)
    assert {task: now[task] for task in with_sort} == with_sort
    assert digests(typed, out, "--task", "sort")["sort"] == with_sort["sort"]  # alone, without the layers that tasks share
    assert {task: str(spec) for task, spec in read_checkpoint(out).adapters.items()} == {
        "sort": "lora:2:4@layers:1-1",
        "mood": "lora:4:8@layers:0-1",
    }
    assert "adapter:mood" in typed("info", out).out


def test_cached_lower_layers_train_the_same_adapter(typed: Typed, runs: Path, data: Path, tmp_path: Path) -> None:
    command = ("train-mtl", "--init", runs / "mtl", "--task", f"sort={data / 'kind'}", "--adapter", "lora:2@layers:1")
    outs = [tmp_path / name for name in ("whole", "cached")]
    for out, more in zip(outs, ((), ("--cache-prefix",)), strict=True):
        done = typed(*command, "--adapter-per", "task", *SHORT, "--out", out, *more)
        assert done.code == 0, done.err
    scores = [read_record(out).metrics["validation"]["sort"]["loss"] for out in outs]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_an_adapter_of_all_tasks(typed: Typed, runs: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    both = [part for name in ("kind", "state") for part in ("--task", f"{name}={data / name}")]
    done = typed("train-mtl", "--init", runs / "mtl", *both, "--adapter", "lora:2", *SHORT, "--out", out)
    assert done.code == 0, done.err
    assert "adapter" in typed("info", out).out
    assert list(read_checkpoint(out).adapters) == ["*"]
    assert digests(typed, out).keys() == {"kind", "state"}
    further = typed("train-mtl", "--init", out, *both, *SHORT, "--freeze", "backbone", "--out", tmp_path / "further")
    assert further.code == 0, further.err
    assert not read_checkpoint(tmp_path / "further").adapters  # merged into the weights


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--adapter", "lroa:8"], "did you mean 'lora'"),
        (["--adapter", "lora:8@layers:7"], "the model has 0 to 1"),
        (["--adapter", "lora:8", "--freeze", "-norms"], "thaws a part of the backbone"),
        (["--adapter", "lora:8", "--freeze", "layers:0"], "@layers:A-B"),
        (["--adapter", "lora:8", "--unfreeze", "top-down"], "--unfreeze top-down thaws"),
        (["--adapter", "lora:8", "--init", "scratch"], "random weights"),
        (["--adapter-per", "task"], "add --adapter lora:8"),
        (["--adapter", "lora:8", "--adapter-per", "task", "--guard", "l2sp"], "--adapter-per task keeps unchanged"),
        (["--adapter", "lora:8", "--adapter-per", "task", "--few-shot"], "--few-shot by contrast"),
    ],
)
def test_what_makes_no_sense_with_an_adapter_is_refused(
    typed: Typed, runs: Path, data: Path, tmp_path: Path, more: list[str], words: str
) -> None:
    init = () if "--init" in more else ("--init", runs / "mtl")
    done = typed("train-mtl", *init, "--task", f"sort={data / 'kind'}", *more, "--out", tmp_path / "run")
    assert (done.code, words in " ".join(done.err.split())) == (2, True), done.err


def test_adapters_that_a_run_has_are_named(typed: Typed, adapted_run: Path, data: Path, tmp_path: Path) -> None:
    def refused(*more: object) -> str:
        done: Answer = typed("train-mtl", "--init", adapted_run, *more, "--out", tmp_path / "run")
        assert done.code == 2, done.err
        return " ".join(done.err.split())

    sort, new = ("--task", f"sort={data / 'kind'}"), ("--task", f"mood={data / 'state'}")
    assert "give --adapter lora:2:4@layers:1-1" in refused(*sort)
    assert "has the adapter lora:2:4@layers:1-1" in refused(*sort, "--adapter", "lora:8", "--adapter-per", "task")
    assert "give --adapter-per task" in refused(*new, "--adapter", "lora:8")


@pytest.mark.parametrize(
    "form",
    [
        "compact",
        "sentence-transformers",
        pytest.param("peft", marks=pytest.mark.slow),  # as in the test of an adapter of all tasks
        pytest.param("onnx", marks=pytest.mark.slow),
    ],
)
def test_a_task_is_exported_with_its_adapter(typed: Typed, adapted_run: Path, tmp_path: Path, form: str) -> None:
    if find_spec(form.replace("-", "_")) is None and form != "compact":
        pytest.skip(f"needs {form}")
    texts, out = TEXTS[:3], tmp_path / "out"  # other libraries truncate the long one in another way
    expected = load(adapted_run).embed(texts, task="sort")
    assert not np.allclose(expected, load(adapted_run).embed(texts), atol=1e-4)
    done = typed("export", adapted_run, out, "--format", form, "--task", "sort")
    assert done.code == 0, done.err
    loaded = load(out, backend="auto")
    assert loaded.tasks == ("sort",)
    np.testing.assert_allclose(loaded.embed(texts), expected, atol=0.1 if form == "compact" else 1e-5)


def test_adapters_of_tasks_have_no_place_in_other_formats(typed: Typed, adapted_run: Path, tmp_path: Path) -> None:
    refused = typed("export", adapted_run, tmp_path / "all", "--format", "sentence-transformers")
    assert (refused.code, "--task sort" in " ".join(refused.err.split())) == (2, True), refused.err
    whole = typed("export", adapted_run, tmp_path / "whole", "--format", "compact")
    assert whole.code == 0, whole.err
    assert digests(typed, tmp_path / "whole").keys() == {"kind", "state", "sort"}


def test_heads_take_their_adapters_along(typed: Typed, runs: Path, adapted_run: Path, tmp_path: Path) -> None:
    before, out = digests(typed, adapted_run), tmp_path / "run"
    done = typed("heads", adapted_run, "--drop", "kind", "--rename", "sort=which", "--out", out)
    assert done.code == 0, done.err
    assert digests(typed, out) == {"state": before["state"], "which": before["sort"]}
    taken = typed("heads", runs / "mtl", "--take", f"{adapted_run}:sort", "--out", tmp_path / "taken")
    assert taken.code == 0, taken.err
    assert digests(typed, tmp_path / "taken") == before


def test_embed_through_the_adapter_of_a_task(typed: Typed, adapted_run: Path) -> None:
    printed = [typed("embed", TEXTS[0], "--model", adapted_run, *more).out for more in ((), ("--task", "sort"))]
    assert printed[0] != printed[1]
    wrong = typed("embed", TEXTS[0], "--model", adapted_run, "--task", "sotr")
    assert (wrong.code, "did you mean 'sort'" in " ".join(wrong.err.split())) == (2, True)


def test_an_adapter_of_all_tasks_apart_from_its_base(typed: Typed, runs: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    run, out = tmp_path / "run", tmp_path / "peft"
    done = typed(
        "train-mtl", "--init", runs / "mtl", "--task", f"kind={data / 'kind'}", "--adapter", "lora:2", *SHORT, "--out", run
    )
    assert done.code == 0, done.err
    exported = typed("export", run, out, "--format", "peft")
    assert (exported.code, "heads kind, state" in exported.out) == (0, True), exported.err
    assert typed("info", out).code == 0
    np.testing.assert_allclose(load(out).embed(TEXTS[:3]), load(run).embed(TEXTS[:3]), atol=1e-5)
    further = typed(
        "train-mtl", "--init", out, "--task", f"new={data / 'kind'}", "--freeze", "backbone", "--out", tmp_path / "new"
    )
    assert (further.code, "merged into" in further.err) == (0, True), further.err
    assert typed("export", runs / "mtl", out, "--format", "peft").code == 2
