from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.report import ReportOptions
from mtlkit.errors import DataError, UsageError
from mtlkit.inference import compute
from mtlkit.inference.load_model import load
from mtlkit.recipes.evaluate import evaluate
from mtlkit.recipes.pretrain import pretrain, stream
from mtlkit.recipes.report import report
from mtlkit.runs.record import file_digest, verify
from mtlkit.training.events import Finished, Note, Progress

SMALL = {"layers": 1, "dim": 16, "heads": 1, "vocab_size": 300, "context": 16, "batch_tokens": 128}


def options(data: Path, out: Path, **more: Any) -> PretrainOptions:
    return PretrainOptions(**{"sources": [str(data / "kind" / "train.csv")], "out": out, **SMALL, "epochs": 2, **more})


def test_events_and_record(data: Path, tmp_path: Path) -> None:
    events = list(stream(options(data, tmp_path / "run")))
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.next_command == f"mtlkit train-sentence --init {tmp_path / 'run'}"
    assert any(isinstance(event, Note) and event.text.startswith("61 texts to train on, 3 held out") for event in events)
    steps = [event for event in events if isinstance(event, Progress)]
    assert [step.step for step in steps] == list(range(1, steps[-1].steps + 1))
    assert set(steps[0].losses) == {"next token"}
    assert set(steps[0].figures) == {"perplexity", "learning rate", "gradient norm"}
    assert all(step.tokens > 0 for step in steps)
    record = verify(tmp_path / "run")
    assert (record.stage, record.parent) == ("base", None)
    assert record.metrics == finished.metrics
    assert len(record.data["texts"]) == len(record.data["held_out"]) == 64
    assert record.metrics["perplexity"] == pytest.approx(math.exp(record.metrics["loss"]))
    logged = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["type"] for line in logged] == ["header", *["step"] * len(steps), "validation"]
    assert [line["step"] for line in logged[1:-1]] == [step.step for step in steps]
    for line, step in zip(logged[1:-1], steps, strict=True):
        assert (line["epoch"], line["tokens"], line["losses"]) == (step.epoch, step.tokens, step.losses)
        assert (line["learning_rate"], line["gradient_norm"]) == (step.figures["learning rate"], step.figures["gradient norm"])
    assert logged[-1]["tasks"][0]["validation"] == record.metrics


def test_bf16_on_a_processor_without_such_products_is_said_to_be_slow(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {}
    for lacks in (True, False):
        monkeypatch.setattr(compute, "lacks_bf16", lambda lacks=lacks: lacks)
        events = list(stream(options(data, tmp_path / str(lacks), epochs=1, precision="bf16")))
        said[lacks] = [event.text for event in events if isinstance(event, Note) and event.warning]
    assert said[True] == [
        *said[False],
        "--precision bf16 is slower than fp32 on this processor, which has no bf16 products (AVX-512 BF16 or AMX)",
    ]


def test_sources_are_mixed_in_given_shares(data: Path, tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("The otter sleeps near the barn.\nA saw lies broken in the shed.\n" * 12)
    sources = [str(data / "kind" / "train.csv"), str(tmp_path / "small.txt")]
    asked = options(data, tmp_path / "run", sources=sources, mix="train=1,small=3", optimizer="muon", dedup="none")
    said = [event.text for event in stream(asked) if isinstance(event, Note)]
    (line,) = [text for text in said if text.startswith("an epoch: ")]
    assert re.fullmatch(r"an epoch: train 2[56]% \(0\.\d+ passes\), small 7[45]% \(\d\.\d passes\)", line)
    assert verify(tmp_path / "run").options["mix"] == "train=1,small=3"
    with pytest.raises(UsageError, match="no share for small"):
        pretrain(options(data, tmp_path / "other", sources=[*sources, str(tmp_path / "unread.txt")], mix="train=1"))
    (tmp_path / "tiny.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"tiny.txt: too few tokens for one window of --context 16"):
        pretrain(
            options(
                data, tmp_path / "other", sources=[sources[0], str(tmp_path / "tiny.txt")], mix="train=1,tiny=1", dedup="none"
            )
        )


@pytest.mark.parametrize("block", ["gpt2", "modern"])
def test_it_learns(block: str, data: Path, tmp_path: Path) -> None:
    finished = pretrain(options(data, tmp_path / "run", dim=32, epochs=10, learning_rate=1e-2, block=block))
    vocabulary = load(finished.run).checkpoint.architecture.vocab_size
    assert finished.metrics["perplexity"] < vocabulary / 4
    assert 0 < finished.metrics["bits_per_byte"] < 3


def test_the_same_options_give_the_same_weights(data: Path, tmp_path: Path) -> None:
    runs = [pretrain(options(data, tmp_path / name, seed=seed)).run for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    weights = [file_digest(run / "model.safetensors") for run in runs]
    assert weights[0] == weights[1] != weights[2]


def test_tokens_bound_the_training(data: Path, tmp_path: Path) -> None:
    finished = pretrain(options(data, tmp_path / "run", tokens=1000, epochs=1))
    assert 1000 - 2 * 128 <= finished.metrics["tokens"] <= 1000


def test_texts_too_few_for_a_window_are_refused(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("one\ntwo\n")
    with pytest.raises(DataError, match=r"tokens do not fill one window of --context 512; add text"):
        pretrain(PretrainOptions(sources=[str(tmp_path / "two.txt")], out=tmp_path / "run", **{**SMALL, "context": 512}))
    (tmp_path / "one.txt").write_text("one\n\n  \n")
    with pytest.raises(DataError, match="1 text; at least two are needed"):
        pretrain(PretrainOptions(sources=[str(tmp_path / "one.txt")], out=tmp_path / "run", **SMALL))
    assert not (tmp_path / "run").exists()


def test_impossible_model_or_output_is_refused_before_texts_are_read(tmp_path: Path) -> None:  # faults 14 and 15
    absent = {"sources": [str(tmp_path / "none.csv")]}
    with pytest.raises(UsageError, match="--dim 30 is not a multiple of --heads 4"):
        pretrain(PretrainOptions(out=tmp_path / "run", dim=30, heads=4, **absent))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "run.json").touch()
    with pytest.raises(UsageError, match="full is not empty; replace it with --overwrite"):
        pretrain(PretrainOptions(out=tmp_path / "full", **absent))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        pretrain(PretrainOptions(out=tmp_path / "file", **absent))
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        pretrain(PretrainOptions(out=tmp_path / "run", **absent))


def adapted(data: Path, init: Path, out: Path, **more: Any) -> PretrainOptions:
    source = [str(data / "kind" / "train.csv")]
    return PretrainOptions(sources=source, init=str(init), out=out, **{"epochs": 2, "context": 16, "batch_tokens": 128, **more})


def test_a_sentence_encoder_is_adapted_to_texts(runs: Path, data: Path, tmp_path: Path) -> None:
    events = list(stream(adapted(data, runs / "mtl", tmp_path / "run")))
    text = "\n".join(event.text for event in events if isinstance(event, Note))
    assert f"starting from {runs / 'mtl'}, as specified" in text
    assert "without the heads of" in text
    record = verify(tmp_path / "run")
    assert (record.stage, record.parent and record.parent["path"]) == ("base", str(runs / "mtl"))
    assert 0 <= record.metrics["masked_accuracy"] <= 1
    assert next(event for event in events if isinstance(event, Progress)).losses.keys() == {"masked token"}
    before, after = load(runs / "mtl"), load(tmp_path / "run")
    assert after.encoder.tokenizer.to_str() == before.encoder.tokenizer.to_str()
    assert after.checkpoint.architecture.attention == "bidirectional"
    assert not after.tasks
    base = tmp_path / "run"
    measured = evaluate(EvalOptions(model=str(base)), after).base
    assert measured == {name: record.metrics[name] for name in measured}
    again = pretrain(adapted(data, base, tmp_path / "again", learning_rate=0))
    assert again.metrics["loss"] == record.metrics["loss"]  # the head goes on, too


def test_a_base_goes_on_with_the_next_token(runs: Path, data: Path, tmp_path: Path) -> None:
    record = verify(pretrain(adapted(data, runs / "pretrain", tmp_path / "run", learning_rate=0)).run)
    assert "masked_accuracy" not in record.metrics
    weights = [file_digest(folder / "model.safetensors") for folder in (runs / "pretrain", tmp_path / "run")]
    assert weights[0] == weights[1]


def test_texts_are_kept_apart_or_packed_into_one_stream(data: Path, tmp_path: Path) -> None:
    runs = {packing: options(data, tmp_path / packing, packing=packing) for packing in ("documents", "stream")}
    metrics = {packing: pretrain(asked).metrics for packing, asked in runs.items()}
    assert metrics["documents"]["loss"] != metrics["stream"]["loss"]
    for packing in runs:
        loaded = load(tmp_path / packing)
        measured = evaluate(EvalOptions(model=str(tmp_path / packing)), loaded).base
        assert measured == {name: metrics[packing][name] for name in measured}
        other = "stream" if packing == "documents" else "documents"
        otherwise = evaluate(EvalOptions(model=str(tmp_path / packing), packing=other), loaded).base
        assert otherwise["tokens_scored"] == measured["tokens_scored"]  # so that the two can be compared
        assert otherwise["loss"] != measured["loss"]


def test_repeated_texts_are_left_out_and_counted(data: Path, tmp_path: Path) -> None:
    lines = [line.rpartition(",")[0] for line in (data / "kind" / "train.csv").read_text().splitlines()[1:]]
    (tmp_path / "twice.txt").write_text("\n".join(lines + [line.upper() for line in lines[:20]]))
    source = {"sources": [str(tmp_path / "twice.txt")], "learning_rate": 0}
    said = [event.text for event in stream(options(data, tmp_path / "once", **source)) if isinstance(event, Note)]
    (line,) = [text for text in said if text.startswith("left out 20 texts")]
    assert "(20 equal, 0 nearly)" in line
    assert any(text.startswith("61 texts to train on, 3 held out") for text in said)
    kept = pretrain(options(data, tmp_path / "kept", dedup="none", **source))
    for run in ("once", "kept"):
        measured = evaluate(EvalOptions(model=str(tmp_path / run)), load(tmp_path / run)).base
        assert measured["loss"] == verify(tmp_path / run).metrics["loss"]
    assert verify(kept.run).data["texts"] != verify(tmp_path / "once").data["texts"]


def test_masked_tokens_finish_a_training_of_next_tokens(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    events = list(stream(options(data, out, finish="mlm:0.25", packing="documents", optimizer="muon", block="modern")))
    steps = [event for event in events if isinstance(event, Progress)]
    masked = [step.step for step in steps if "masked token" in step.losses]
    assert masked == list(range(len(steps) - round(len(steps) / 4) + 1, len(steps) + 1))
    assert [name for step in steps[: -len(masked)] for name in step.losses] == (len(steps) - len(masked)) * ["next token"]
    record, loaded = verify(out), load(out)
    assert loaded.checkpoint.architecture.attention == "bidirectional"
    assert evaluate(EvalOptions(model=str(out)), loaded).base["masked_accuracy"] == record.metrics["masked_accuracy"]
    assert 0 < record.metrics["before_finish"]["bits_per_byte"] < 20
    page = report(ReportOptions(run=str(out), output=tmp_path / "page.html")).page
    for name, metrics in (("next token", record.metrics["before_finish"]), ("masked token", record.metrics)):
        (section,) = [task for task in page.tasks if task.name == name]
        assert ("perplexity", f"{metrics['perplexity']:,.2f}") in [(title, value) for title, value, _ in section.figures]
    again = pretrain(adapted(data, out, tmp_path / "again", learning_rate=0, packing="documents"))
    assert again.metrics["loss"] == pytest.approx(record.metrics["loss"])  # training on masked tokens continues
    with pytest.raises(UsageError, match=r"--finish mlm:0.1 follows next-token prediction"):
        pretrain(adapted(data, out, tmp_path / "third", finish="mlm:0.1"))
    with pytest.raises(UsageError, match="is not mlm:SHARE"):
        options(data, out, finish="mlm:1.5")


def test_options_that_do_not_fit_a_given_model_are_refused(runs: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--size, --lowercase: for fresh weights"):
        pretrain(adapted(data, runs / "mtl", tmp_path / "run", size="m", lowercase=True))
    with pytest.raises(UsageError, match=r"--context 9999: .* has \d+ positions"):
        pretrain(adapted(data, runs / "mtl", tmp_path / "run", context=9999))


def test_fresh_weights_can_learn_masked_tokens(data: Path, tmp_path: Path) -> None:
    finished = pretrain(options(data, tmp_path / "run", objective="mlm", mask="words"))
    assert load(finished.run).checkpoint.architecture.attention == "bidirectional"
    assert (tmp_path / "run" / "prediction_head.safetensors").is_file()
