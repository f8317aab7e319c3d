"""Model cards, checked with the library of the Hugging Face hub."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import ModelCard

from mtlkit.config.architecture import Architecture, Encoding, TaskSpec, Truncation
from mtlkit.config.calibration import Calibration
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.card import model_card
from mtlkit.report.cards.facts import CardFacts
from mtlkit.report.cards.onnx import onnx_details
from mtlkit.report.cards.sentence_transformers import sentence_transformers_details, transformers_use
from mtlkit.report.cards.use import mtlkit_use
from mtlkit.runs.record import CROSS_VALIDATED, TRAINED_ON, RunRecord

TESTED = {"split": "test", "n": 7600, "accuracy": 0.875, "accuracy_interval": [0.86, 0.89], "macro_f1": 0.5}
RECORD = RunRecord(
    "mtl",
    "mtlkit train-mtl --epochs 2 --task topic=/home/alice/data/rows.csv --out /home/alice/runs/mtl",
    {"license": "apache-2.0", "language": ["en", "no"]},
    0,
    {
        "topic": {"source": "/home/alice/data/rows.csv", "validation": {"rows": 200, "sha256": "ab" * 32}},
        "news": {"source": "ag_news?limit=5", "train": {"rows": 5, "sha256": "cd" * 32}},
    },
    {"validation": {"topic": {"accuracy": 0.9, "macro_f1": 0.8}}, "test": {"topic": TESTED}, "score": 0.9, "best_epoch": 2},
    {"path": "/home/alice/runs/sentence", "digest": "0123456789abcdef", "hub": "someone/tiny-bert"},
)
ARCHITECTURE = Architecture(8192, 2, 128, 2, 256, "bidirectional")
TOPIC = TaskSpec("topic", "classification", ("World", "Sports"))
TASKS = (TOPIC, TaskSpec("stars", "regression", ()))


def facts(record: RunRecord = RECORD, tasks: tuple[TaskSpec, ...] = TASKS, **more: Any) -> CardFacts:
    description = ModelDescription(
        record.stage, ARCHITECTURE, Encoding(256), tasks, more.pop("router", ()), more.pop("sources", {})
    )
    values = {"name": "runs/mtl", "use": mtlkit_use(description), "base_model": "someone/tiny-bert", **more}
    return CardFacts(record, description, 1_234_567, **values)


def test_the_front_matter_is_what_the_hub_reads() -> None:
    data = ModelCard(model_card(facts())).data
    assert (data.license, data.language, data.base_model) == ("apache-2.0", ["en", "no"], "someone/tiny-bert")
    assert (data["library_name"], data.pipeline_tag, data.datasets) == ("mtlkit", "text-classification", ["fancyzhx/ag_news"])
    assert (data.metrics, data.tags) == (["accuracy", "f1"], ["mtlkit", "multi-task"])
    assert data.model_name == "mtl"
    assert data.eval_results is not None
    first = data.eval_results[0]
    assert (first.dataset_name, first.dataset_type, first.dataset_split) == ("rows.csv", "rows", "test")
    assert (first.task_type, first.metric_type, first.metric_value) == ("text-classification", "accuracy", 0.875)
    assert first.metric_name == "accuracy, 95 % interval 0.8600 to 0.8900"


def test_what_nobody_stated_is_left_out() -> None:
    bare = replace(RECORD, options={}, metrics={}, data={}, parent=None)
    card = model_card(facts(bare, base_model=None))
    assert ModelCard(card).data.to_dict() == {  # type: ignore[no-untyped-call]
        "library_name": "mtlkit",
        "pipeline_tag": "text-classification",
        "tags": ["mtlkit", "multi-task"],
    }
    assert "| license | not stated |" in card
    for section in ("Figures", "Training data"):
        assert f"## {section}" not in card


def test_use_comes_first_and_then_facts_and_figures() -> None:
    card = ModelCard(model_card(facts())).text
    sections = [line.removeprefix("## ") for line in card.splitlines() if line.startswith("## ")]
    assert sections == ["Use", "Tasks", "Facts", "Figures", "Training data", "Commands"]
    assert 'mtlkit.load("runs/mtl")' in card
    assert 'mtlkit predict --model runs/mtl "some sentence"' in card
    assert "| topic | classification | World, Sports |\n| stars | regression | - |\n" in card
    assert "2 layers of width 128, 2 attention heads, bidirectional attention" in card
    assert "| parameters | 1,234,567 |" in card
    assert "| topic | accuracy | 87.5 % | 86.0 % to 89.0 % | test | 7,600 |" in card
    assert "| topic | accuracy | 90.0 % | 85.1 % to 93.4 % | validation | 200 |" in card
    assert "mtlkit eval --model runs/mtl\nmtlkit eval --model runs/mtl --split validation\n" in card


def test_test_rows_from_elsewhere_are_named() -> None:
    card = model_card(facts(replace(RECORD, options={"test": ["topic=/home/alice/test.csv?text=body", "news"]})))
    assert "mtlkit eval --model runs/mtl --task 'topic=test.csv?text=body'\n" in card
    results = ModelCard(card).data.eval_results
    assert results is not None
    assert (results[0].dataset_name, results[0].dataset_type) == ("test.csv", "test")


def test_no_path_and_no_user_is_named() -> None:
    card = model_card(facts())
    assert "alice" not in card
    assert "/home" not in card
    assert "mtlkit train-mtl --epochs 2 --task topic=rows.csv --out mtl" in card
    assert "| topic, validation | rows.csv | 200 |" in card
    assert "[someone/tiny-bert](https://huggingface.co/someone/tiny-bert)" in card


def test_data_of_the_hub_is_told_from_folders_of_the_same_form() -> None:
    data = {"topic": {"source": "data/rows"}, "mood": {"source": "someone/mood"}}
    sources = {"topic": SourceRecord("data/rows", {"train": ("train.csv",)}), "mood": SourceRecord("someone/mood")}
    tasks = (TOPIC, replace(TOPIC, name="mood"))
    assert ModelCard(model_card(facts(replace(RECORD, data=data), tasks, sources=sources))).data.datasets == ["someone/mood"]


def test_hostile_names_break_neither_table_nor_front_matter() -> None:  # fault 30
    labels = ("a|b", "two\nlines", "esc\x1b[31m", "<script>alert(1)</script>", "`x`", "---", *map(str, range(100)))
    record = replace(RECORD, data={"topic": {"source": "a: b\n---\n# <script>.csv", "train": {"rows": 1, "sha256": "ab"}}})
    card = model_card(facts(record, (replace(TOPIC, labels=labels),)))
    assert "| a&#124;b, two lines, esc\N{REPLACEMENT CHARACTER}&#91;31m, &#60;script&#62;" in card
    assert "(106 in all) |\n" in card
    assert "\x1b" not in card
    assert "<script>" not in ModelCard(card).text
    results = ModelCard(card).data.eval_results
    assert results is not None
    assert results[0].dataset_name == "a: b --- # <script>.csv"


@pytest.mark.parametrize("mark", [TRAINED_ON, CROSS_VALIDATED])
def test_figures_that_are_not_of_held_out_rows_say_so(mark: str) -> None:
    card = model_card(facts(replace(RECORD, metrics={"validation": {"topic": {"accuracy": 0.9, mark: True}}})))
    assert ("| topic | accuracy | 90.0 % | - | validation | 200 |" in card) == (mark == CROSS_VALIDATED)
    assert ("cross-validated, as the heads" in card) == (mark == CROSS_VALIDATED)
    assert ("model-index" in card) == (mark == CROSS_VALIDATED)


def test_the_card_of_a_base_has_no_tasks_and_no_parent() -> None:
    perplexity = {"perplexity": 12.5, "perplexity_interval": [12.0, 13.0]}
    base = RunRecord("base", "mtlkit pretrain", {}, 0, {"sources": ["a.txt"], "texts": "ab" * 32}, perplexity)
    card = model_card(facts(replace(base), (), base_model=None))
    data = ModelCard(card).data
    assert (data.pipeline_tag, data.metrics, data.model_name) == ("fill-mask", ["perplexity"], "mtl")
    assert "| - | perplexity | 12.500 | 12.000 to 13.000 | validation | - |" in card
    assert "| task | kind |" not in card
    assert "started from" not in card
    assert "mtlkit train-mtl --init runs/mtl" in card


def test_a_model_for_pairs_is_shown_with_pairs() -> None:
    card = model_card(facts(tasks=(replace(TOPIC, pair="joint"),)))
    assert 'model.predict([("a first text", "its second text")])' in card
    assert '--pair "a first text" "its second text"' in card


def test_code_that_reads_files_downloads_a_model_of_the_hub() -> None:
    details = sentence_transformers_details(checkpoint(HEAD))
    card = model_card(facts(name="someone/topics", on_hub=True, details=details))
    assert 'mtlkit.load("someone/topics")' in card
    assert 'folder = snapshot_download("someone/topics")' in card
    assert "outputs = apply_heads(folder, vectors)" in card
    assert "this/folder" not in card


HEAD = TaskSpec("kind", "classification", ("a", "b"))


def checkpoint(*tasks: TaskSpec, truncate: Truncation = "head", **vectors: Any) -> ModelDescription:
    return ModelDescription(
        "mtl", Architecture(100, 1, 8, 1, 64), Encoding(64, truncate), tasks, vectors=VectorSettings(**vectors)
    )


def test_the_card_shows_the_heads_where_there_are_some() -> None:
    assert "apply_heads" not in sentence_transformers_details(checkpoint())
    use = sentence_transformers_details(checkpoint(HEAD))
    assert use.count("def apply_heads(") == 1
    assert "mtlkit" not in use
    assert 'outputs = apply_heads("this/folder", vectors)' in use
    assert 'SentenceTransformer("this/folder")' in use.partition("apply_heads")[2]


def test_the_card_says_how_to_use_heads_for_pairs() -> None:
    pairs = checkpoint(HEAD, replace(HEAD, name="nli", pair="vectors"))
    use = sentence_transformers_details(pairs)
    assert "heads that read pairs of texts (`nli`)" in use
    assert 'outputs = apply_heads("this/folder", first, second)' in use
    assert "`pairs.onnx`" in onnx_details(pairs)
    assert "pairs" not in onnx_details(checkpoint(HEAD))


def test_the_card_says_how_words_are_labelled() -> None:
    chained = TaskSpec("ner", "tokens", ("O", "B-X", "I-X"), tags="bio", transitions="learned")
    use = sentence_transformers_details(checkpoint(HEAD, chained))
    assert use.count("def label_words(") == use.count("def best_paths(") == 1
    assert 'labels["ner"]' in use
    assert "label_words" not in sentence_transformers_details(checkpoint(HEAD))
    assert "`transitions:NAME`" in onnx_details(checkpoint(chained))
    assert "for each token" in onnx_details(checkpoint(replace(chained, transitions=None)))
    assert "transitions" not in onnx_details(checkpoint(HEAD, replace(chained, transitions=None)))


def test_the_card_applies_thresholds() -> None:
    assert "thresholds" not in sentence_transformers_details(checkpoint(HEAD)) + onnx_details(checkpoint(HEAD))
    calibration = Calibration("thresholds", thresholds=(0.2, 0.5))
    tags = checkpoint(TaskSpec("tags", "multi-label", ("a", "b"), calibration=calibration))
    assert "> torch.tensor(thresholds)" in sentence_transformers_details(tags)
    assert "threshold in `config.json`" in onnx_details(tags)


def test_heads_are_shown_with_whole_vectors_where_the_model_cuts_them() -> None:
    use = sentence_transformers_details(checkpoint(HEAD, truncate_dim=4))
    assert 'SentenceTransformer("this/folder", truncate_dim=8)' in use.partition("apply_heads")[2]


def test_card_mentions_different_truncation() -> None:
    assert "Texts of more than 64 tokens are truncated" in sentence_transformers_details(checkpoint(truncate="head-tail"))
    assert "Texts of more" not in sentence_transformers_details(checkpoint())


def test_the_card_names_the_prompt_and_the_input_that_leaves_it_out() -> None:
    spoken = checkpoint(prompts={"query": "query: "}, default_prompt="query", include_prompt=False)
    for use in (sentence_transformers_details, onnx_details):
        assert "`query: `" in use(spoken)
        assert "is put before" not in use(checkpoint())
    assert "`prompt_tokens`" in onnx_details(spoken)
    assert "`prompt_tokens`" not in onnx_details(checkpoint())


def test_card_of_a_base_explains_generation() -> None:
    use = transformers_use(checkpoint(), "<bos>", "<eos>")
    assert 'pipeline("text-generation", model="this/folder")' in use
    assert "`<bos>`" in use
    assert "end each text with `<eos>`" in use
    assert "64 tokens" in use
