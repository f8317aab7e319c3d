"""Options of `train-mtl` that protect existing tasks: checked before data is read, and effective."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import notes, options, rows_of, write

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.registries.guards import GuardChoice, parse_guards
from mtlkit.errors import DataError, UsageError
from mtlkit.inference.compute import choose_compute
from mtlkit.inference.find_model import ModelRef
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import load_weights
from mtlkit.model.weight_names import head_weights
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.train_mtl import stream, train_mtl
from mtlkit.recipes.training.planning.continual import check_continual, parse_rehearsed, parse_watched
from mtlkit.runs.record import verify
from mtlkit.training.events import Epoch
from mtlkit.training.freezing.apply import digest
from mtlkit.training.freezing.parse import parse_freeze
from mtlkit.training.freezing.rules import FreezeRules
from mtlkit.training.plan import TrainPlan

NEW = {"stars": "stars.csv"}


def freezing(*items: str) -> FreezeRules:
    weights = ["backbone.tokens.weight", *(name for head in ("kind", "state", "stars") for name in head_weights(head, "linear"))]
    return parse_freeze(items, None, weights, ["kind", "state", "stars"], ())


def checked(runs: Path, *items: str, sources: dict[str, str] = NEW, found: bool = True, **asked: Any) -> Any:
    start = ModelRef(runs / "mtl", "as specified") if found else None
    known = ["kind", "state"] if found else []
    asked_for, frozen = TrainMtlOptions(task=[f"{name}={source}" for name, source in sources.items()], **asked), freezing(*items)
    watched = parse_watched(asked_for.watch, start, known, sources)
    seen = [*watched, *(name for name in sources if frozen.keeps(f"head:{name}"))]
    plan = TrainPlan(
        options=asked_for,
        compute=choose_compute("cpu", "fp32"),
        freezing=frozen,
        start=start,
        watched=watched,
        rehearsed=parse_rehearsed(asked_for.rehearse, seen, sources),
        guards=parse_guards(asked_for.guard),
    )
    check_continual(plan, known)
    return plan


def test_a_watched_task_may_be_named_alone(runs: Path, data: Path) -> None:
    kept = checked(runs, watch=["kind", "state=other.csv?limit=3"])
    assert kept.watched == {"kind": str(data / "kind"), "state": "other.csv?limit=3"}  # the first from the record of the run


def test_everything_asked_for_is_found(runs: Path) -> None:
    kept = checked(runs, watch=["kind"], rehearse=["kind:1/3"], guard=["lwf", "ewc:50"], max_forgetting=1.5)
    assert kept.rehearsed == {"kind": Fraction(1, 3)}
    assert kept.guards == (GuardChoice("lwf"), GuardChoice("ewc", (50.0,)))
    assert kept.options.max_forgetting == 1.5
    sources = {"kind": "kind.csv", "state": "state.csv"}
    kept = checked(runs, "head:kind", sources=sources, rehearse=["kind"], guard=["ewc", "lwf"], max_forgetting=0.0)
    assert kept.rehearsed == {"kind": Fraction(1, 5)}  # a frozen head is watched as well


@pytest.mark.parametrize(
    ("asked", "items", "said"),
    [
        ({"watch": ["knid"]}, [], "--watch knid: no such head to watch; .*mtl has kind, state; .* did you mean 'kind'"),
        ({"watch": ["stars=a.csv"]}, [], "--watch stars: no such head to watch"),
        ({"watch": ["kind", "kind=a.csv"]}, [], "--watch kind is given twice"),
        ({"watch": ["kind=a.csv?lable=x"]}, [], "key 'lable' .* did you mean 'label'"),
        ({"watch": ["kind="]}, [], "--watch 'kind=' has no source"),
        ({"rehearse": ["kind"]}, [], "--rehearse kind: give its data with --watch kind=SOURCE; watched are none"),
        ({"rehearse": ["stars"]}, [], "--rehearse stars: it trains anyway"),
        ({"watch": ["kind"], "rehearse": ["kidn"]}, [], "--rehearse kidn: .*did you mean 'kind'"),
        ({"watch": ["kind"], "rehearse": ["kind", "kind:0.5"]}, [], "--rehearse kind is given twice"),
        ({"watch": ["kind"], "rehearse": ["kind:0"]}, [], "--rehearse kind:0: write TASK:SHARE, with a share above 0"),
        ({"watch": ["kind"], "rehearse": ["kind:1.5"]}, [], "--rehearse kind:1.5: write TASK:SHARE"),
        ({"watch": ["kind"], "rehearse": ["kind:much"]}, [], "--rehearse kind:much: write TASK:SHARE"),
        ({"guard": ["ewc"]}, [], "--guard ewc needs the data of an existing task; give it with --watch NAME=SOURCE"),
        ({"guard": ["ewk"]}, [], "--guard ewk: no such guard"),
        ({"max_forgetting": 1.0}, [], "--max-forgetting needs a task to watch"),
        ({"watch": ["kind"], "rehearse": ["kind"]}, ["backbone"], "--rehearse kind protects the backbone, which --freeze keeps"),
        ({"guard": ["l2sp"]}, ["backbone"], "--guard l2sp protects the backbone, which --freeze keeps"),
    ],
)
def test_what_cannot_be_kept_is_refused(asked: dict[str, Any], items: list[str], said: str, runs: Path) -> None:
    with pytest.raises(UsageError, match=said):
        checked(runs, *items, **asked)


def test_fresh_weights_have_nothing_to_keep(runs: Path) -> None:
    with pytest.raises(UsageError, match="--guard l2sp needs a starting model, not fresh weights"):
        checked(runs, found=False, guard=["l2sp"])
    with pytest.raises(UsageError, match="--watch kind: no such head to watch; fresh weights have no heads"):
        checked(runs, found=False, watch=["kind"])


def test_a_task_is_trained_or_watched_and_lwf_needs_an_old_head(runs: Path) -> None:
    sources = {"kind": "kind.csv", "state": "state.csv"}
    with pytest.raises(UsageError, match=r"--watch kind: --task gives it, too; .* --freeze head:kind"):
        checked(runs, sources=sources, watch=["kind"])
    with pytest.raises(UsageError, match=r"--guard lwf keeps the outputs of existing heads, and all heads of .* train"):
        checked(runs, sources=sources, guard=["lwf"])


def test_a_watched_task_is_evaluated_and_its_head_stays(runs: Path, odd_data: Path, tmp_path: Path) -> None:
    asked = options(
        odd_data, tmp_path / "run", "stars", init=str(runs / "mtl"), watch=["kind", "state"], rehearse=["kind:0.5"], guard=["ewc"]
    )
    events = list(stream(asked))
    said = notes(events)
    assert "kind: 58 rows to rehearse, 6 to validate (9.4% held out), 2 classes" in said
    assert "state: watched on 6 rows, 2 classes" in said
    before, after = load_weights(runs / "mtl").model, load_weights(tmp_path / "run").model
    for name in ("kind", "state"):
        assert digest(after.head(name).state_dict()) == digest(before.head(name).state_dict())
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [epoch.epoch for epoch in epochs] == [0, 1, 2]
    last = {state.task: state for state in epochs[-1].tasks}
    assert {name: state.watched for name, state in last.items()} == {"stars": False, "kind": True, "state": True}
    assert last["kind"].batches == last["kind"].planned == last["stars"].planned // 2 > 0
    assert last["kind"].train_loss is not None
    assert (last["state"].batches, last["state"].train_loss) == (0, None)
    record = verify(tmp_path / "run")
    assert record.data["kind"]["watched"] is record.data["state"]["watched"] is True
    assert "watched" not in record.data["stars"]
    assert list(evaluate(EvalOptions(), load(tmp_path / "run")).tasks) == ["stars", "kind", "state"]  # eval finds their data


def test_rehearsal_teaches_the_backbone_through_the_frozen_head(runs: Path, data: Path, odd_data: Path, tmp_path: Path) -> None:
    rows = rows_of(data / "kind" / "train.csv")
    swapped = {"animal": "tool", "tool": "animal", "label": "label"}
    source = write(tmp_path / "swapped.csv", [[text, swapped[label]] for text, label in rows])  # so that there is much to learn
    losses = []
    for name, more in (("plain", {}), ("rehearsed", {"rehearse": ["kind:1"]})):
        asked = options(
            odd_data, tmp_path / name, "stars", init=str(runs / "mtl"), watch=[f"kind={source}"], learning_rate=3e-3, **more
        )
        epochs = [event for event in stream(asked) if isinstance(event, Epoch) and event.epoch]
        losses.append(min(state.validation["loss"] for epoch in epochs for state in epoch.tasks if state.task == "kind"))
    assert losses[1] < 0.7 * losses[0]


def test_the_report_is_in_the_record_and_in_the_card(runs: Path, odd_data: Path, tmp_path: Path) -> None:
    asked = options(odd_data, tmp_path / "run", "stars", init=str(runs / "mtl"), watch=["kind"])
    finished = train_mtl(asked)
    report = finished.metrics["forgetting"]
    assert report == verify(tmp_path / "run").metrics["forgetting"]
    assert report["stages"] == ["before", "epoch 1", "epoch 2", "after"]
    assert set(report["matrix"]) == {"kind", "stars"}
    assert report["matrix"]["stars"][0] is None  # a new head knew nothing before
    assert report["matrix"]["kind"][-1] == finished.metrics["validation"]["kind"]["accuracy"]
    (change,) = report["changes"]
    assert (change["task"], change["rows"]) == ("kind", 6)
    assert change["change"] == pytest.approx(report["matrix"]["kind"][-1] - report["matrix"]["kind"][0])
    assert report["words"][0].startswith("kind")
    assert "cosine of the vectors" in report["words"][-1]
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"- {report['words'][0]}\n" in card


def test_without_heads_at_the_start_there_is_no_report(runs: Path, data: Path, tmp_path: Path) -> None:
    finished = train_mtl(options(data, tmp_path / "run", "kind", init=str(runs / "pretrain"), epochs=1))
    assert "forgetting" not in finished.metrics


def test_data_of_another_kind_is_not_watched(runs: Path, odd_data: Path, data: Path, tmp_path: Path) -> None:
    asked = options(data, tmp_path / "run", "state", init=str(runs / "mtl"), watch=[f"kind={odd_data / 'stars'}"])
    with pytest.raises(DataError, match="task 'kind': no row has a label that the head knows"):
        train_mtl(asked)


@pytest.mark.parametrize("limit", [1.0, 0.0])
def test_a_prefix_that_is_kept_gives_the_same_weights(limit: float, runs: Path, data: Path, tmp_path: Path) -> None:
    common = {"init": str(runs / "mtl"), "freeze": ["embeddings,layers:0"], "dropout": 0.0}
    plain = train_mtl(options(data, tmp_path / "plain", "kind", "state", **common))
    kept = options(data, tmp_path / "out" / "kept", "kind", "state", cache_prefix=True, cache_memory=limit, **common)
    events = list(stream(kept))
    (line,) = [line for line in notes(events).splitlines() if "ran the frozen" in line]
    assert line.startswith("ran the frozen layers up to layers:0 once on 116 texts; cached 0.")
    assert ("in memory" in line) == (limit > 0)
    assert (tmp_path / "out" / ".cache").is_dir() == (limit == 0)
    first, second = (load_weights(path).model.state_dict() for path in (plain.run, tmp_path / "out" / "kept"))
    for name, weight in first.items():
        np.testing.assert_allclose(second[name].numpy(), weight.numpy(), atol=1e-5)


def test_vectors_on_disk_are_found_by_the_next_training(runs: Path, data: Path, tmp_path: Path) -> None:
    common = {"init": str(runs / "mtl"), "freeze": ["backbone"], "cache_memory": 0.0}
    said = [notes(list(stream(options(data, tmp_path / "runs" / name, "kind", head="mlp:8", **common)))) for name in ("a", "b")]
    assert f"in {tmp_path / 'runs' / '.cache'}" in said[0]
    assert "cached already" not in said[0]
    assert "58 texts were cached already" in said[1]
    assert verify(tmp_path / "runs" / "a").metrics == verify(tmp_path / "runs" / "b").metrics


def test_without_a_frozen_prefix_none_is_kept(runs: Path, data: Path, tmp_path: Path) -> None:
    for freeze in ("none", "layers:0", "embeddings", "embeddings,layers:0@until=epoch:1"):
        asked = options(data, tmp_path / "run", "kind", init=str(runs / "mtl"), freeze=[freeze], cache_prefix=True)
        with pytest.raises(UsageError, match="--cache-prefix caches the outputs of frozen lower blocks, and none stay frozen"):
            train_mtl(asked)
