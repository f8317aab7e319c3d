"""Commands with models that run through transformers: training, resuming, predicting, exporting, and what is refused."""

from __future__ import annotations

import json
import re
import signal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from auto_peers import write_auto_peer
from conftest import SENTENCES, write_csv
from killing import differences
from safetensors.torch import load_file

from mtlkit import load
from mtlkit.inference.find_model import find_model
from mtlkit.model.auto.automodel import AutoBackbone

if TYPE_CHECKING:
    from .conftest import Command, Typed

THROUGH = "runs through transformers (slower than mtlkit's own encoder)"


@pytest.fixture(scope="module")
def deberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_auto_peer("deberta-v2", tmp_path_factory.mktemp("auto") / "deberta", SENTENCES)


@pytest.fixture
def training(deberta: Path, data: Path) -> Command:
    """A training of a few steps, without --out."""
    tasks = [part for name in ("kind", "state") for part in ("--task", f"{name}={data / name}")]
    return ("train-mtl", *tasks, "--init", deberta, "--freeze", "embeddings,layers:0", "--batch-tokens", 128, "--epochs", 1)


def test_a_run_trains_answers_and_is_exported(typed: Typed, training: Command, deberta: Path, data: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    run = tmp_path / "run"
    trained = typed(*training, "--out", run, "--json")
    assert trained.code == 0, trained.err
    assert f"starting from {deberta}, as specified; deberta-v2 {THROUGH}" in trained.err
    before, after = load(str(deberta)).engine, load(str(run))
    frozen = before.model.backbone.state_dict()  # type: ignore[attr-defined]
    trained_weights = load_file(run / "model.safetensors")
    same = {name for name, weight in frozen.items() if torch.equal(weight, trained_weights[f"backbone.{name}"])}
    assert same == {name for name in frozen if not name.startswith("blocks.1.")}
    evaluated = typed("eval", run, "--task", f"kind={data / 'kind' / 'test.csv'}", "--json")
    assert evaluated.code == 0, evaluated.err
    assert f"model: {run}, as specified; deberta-v2 {THROUGH}" in evaluated.err
    (answers,) = json.loads(typed("predict", SENTENCES[0], "--model", run, "--json").out)["predictions"]
    assert set(answers["tasks"]) == {"kind", "state"}
    parts = ["embeddings", "layers:0", "layers:1", "head:kind", "head:state"]
    assert [name for name in parts if f" {name} " in typed("info", run).out] == parts
    exported = typed("export", run, tmp_path / "export")
    assert exported.code == 0, exported.err
    shown = typed("info", tmp_path / "export").out
    assert [name for name in (*parts, "unused") if f" {name} " in shown] == parts
    np.testing.assert_allclose(load(str(tmp_path / "export")).embed(SENTENCES), after.embed(SENTENCES), atol=1e-5)
    again = typed("heads", run, "--drop", "state", "--out", tmp_path / "one")
    assert again.code == 0, again.err
    assert load(str(tmp_path / "one")).tasks == ("kind",)


@pytest.mark.parametrize("objective", ["classify", "pairs"])
def test_sentence_encoders_train_with_defaults(objective: str, typed: Typed, deberta: Path, data: Path, tmp_path: Path) -> None:
    pairs = write_csv(tmp_path / "pairs.csv", list(pairwise(SENTENCES)), ("anchor", "positive"))
    source = pairs if objective == "pairs" else data / "kind"
    options = ("--objective", objective, "--init", deberta, "--batch-tokens", 128, "--epochs", 1)
    trained = typed("train-sentence", "--task", f"one={source}", *options, "--out", tmp_path / "run")
    assert trained.code == 0, trained.err
    before, after = load(str(deberta)).embed(SENTENCES), load(str(tmp_path / "run")).embed(SENTENCES)
    assert np.abs(before - after).max() > 1e-4
    assert "transformers" in json.loads((tmp_path / "run" / "run.json").read_text())["versions"]


def test_an_interrupted_training_resumes_bit_for_bit(
    typed: Typed, training: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out, calls = tmp_path / "whole" / "run", tmp_path / "run", 0
    command = (*training, "--save-every", 3)
    assert typed(*command, "--out", whole).code == 0
    encode = AutoBackbone.encode

    def interrupted(self: AutoBackbone, batch: Any) -> torch.Tensor:
        nonlocal calls
        calls += self.training
        if calls == 8:
            signal.raise_signal(signal.SIGTERM)
        return encode(self, batch)

    monkeypatch.setattr(AutoBackbone, "encode", interrupted)
    assert typed(*command, "--out", out).code == 143
    assert not (out / "run.json").exists()
    answer = typed("train-mtl", "--resume", out)
    assert answer.code == 0, answer.err
    assert not list(differences(out, whole))


def test_adapters_of_tasks_leave_the_backbone_as_it_is(typed: Typed, training: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = tuple(part for part in training if part not in ("--freeze", "embeddings,layers:0"))
    trained = typed(*command, "--adapter", "lora:2@layers:1-1", "--adapter-per", "task", "--out", run)
    assert trained.code == 0, trained.err
    names = {name.split(".")[1] for name in load_file(run / "model.safetensors") if name.startswith("adapters.")}
    assert names == {"kind", "state"}
    both = load(str(run)).predict(SENTENCES[:3])
    alone = load(str(run)).predict(SENTENCES[:3], "kind")
    assert [answers["kind"] for answers in both] == [answers["kind"] for answers in alone]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("embed", "a", "--precision", "int8", "--model"), "--precision int8 is not supported for deberta-v2"),
        (("export", "--format", "onnx"), "--format onnx cannot hold .*, as deberta-v2 runs through transformers"),
        (("pretrain", "texts.txt", "--init"), "pretrain --init .* is not supported for deberta-v2"),
    ],
)
def test_what_only_our_encoder_does_is_refused(
    options: tuple[str, ...], message: str, typed: Typed, deberta: Path, tmp_path: Path
) -> None:
    Path("texts.txt").write_text("\n".join(SENTENCES))  # the working directory is a test's own
    answer = typed(*options, deberta, *((tmp_path / "out",) if options[0] == "export" else ()))
    assert answer.code == 2, answer.err
    assert re.search(message, answer.err)


@pytest.mark.parametrize(
    "option", [("--attention", "causal"), ("--cache-prefix",), ("--recompute",), ("--embedding-share", "0.3")]
)
def test_options_of_our_encoder_are_refused_before_data_is_read(
    option: tuple[str, ...], typed: Typed, training: Command, unread: Path, tmp_path: Path
) -> None:
    answer = typed(*training, "--task", f"more={unread}", *option, "--out", tmp_path / "run")
    assert answer.code == 2, answer.err
    assert f"{' '.join(option)} is not supported for deberta-v2, which runs through transformers; " in answer.err


def test_our_own_families_are_not_said_to_run_through_transformers(plain_peers: dict[str, Path]) -> None:
    assert find_model(str(plain_peers["bert"]), Path("runs"), ()).reason == "as specified"
