from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from mtlkit.config.architecture import Architecture, Encoding, TaskSpec, Truncation
from mtlkit.config.calibration import Calibration
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.model.description import ModelDescription
from mtlkit.report.card import model_card
from mtlkit.report.export_card import sentence_transformers_use, transformers_use
from mtlkit.report.export_card_onnx import onnx_use
from mtlkit.runs.record import RunRecord

RECORD = RunRecord(
    "mtl",
    "mtlkit train-mtl --epochs 2",
    {},
    0,
    {"topic": {"source": "sample:topic", "train": {"rows": 12, "sha256": "ab"}}},
    {"score": 0.875},
    {"path": "runs/sentence", "digest": "0123456789abcdef"},
)
ARCHITECTURE = Architecture(8192, 2, 128, 2, 256, "bidirectional")


def test_card_describes_the_model_and_its_use() -> None:
    tasks = [TaskSpec("topic", "classification", ("World", "Sports")), TaskSpec("stars", "regression", ())]
    card = model_card(RECORD, ARCHITECTURE, tasks)
    assert card.startswith("# A sentence encoder with task heads, trained with mtlkit\n")
    assert "2 layers of width 128, 2 attention heads, bidirectional attention" in card
    assert "| topic | classification | World, Sports |\n| stars | regression | - |\n" in card
    assert "```\nmtlkit train-mtl --epochs 2\n```" in card
    assert "`runs/sentence` (0123456789ab)" in card
    assert 'mtlkit.load("this/folder")' in card
    blocks = [part.split("```")[0] for part in card.split("```json\n")[1:]]
    assert [json.loads(block) for block in blocks] == [RECORD.metrics, RECORD.data]


def test_labels_do_not_break_the_table_of_the_card() -> None:  # fault 30
    card = model_card(RECORD, ARCHITECTURE, [TaskSpec("t", "classification", ("a|b", "two\nlines", "esc\x1b[31m"))])
    assert "| t | classification | a\\|b, two lines, esc\N{REPLACEMENT CHARACTER}[31m |\n" in card
    assert "\x1b" not in card


def test_the_card_of_a_base_has_no_tasks_and_no_parent() -> None:
    base = RunRecord("base", "mtlkit pretrain", {}, 0, {"sources": ["a.txt"]}, {"perplexity": 12.5})
    card = model_card(base, ARCHITECTURE, [])
    assert card.startswith("# A base, trained with mtlkit\n")
    assert "| task |" not in card
    assert "Started from" not in card


HEAD = TaskSpec("kind", "classification", ("a", "b"))


def checkpoint(*tasks: TaskSpec, truncate: Truncation = "head", **vectors: Any) -> ModelDescription:
    return ModelDescription(
        "mtl", Architecture(100, 1, 8, 1, 64), Encoding(64, truncate), tasks, vectors=VectorSettings(**vectors)
    )


def test_the_card_shows_the_heads_where_there_are_some() -> None:
    assert "apply_heads" not in sentence_transformers_use(checkpoint())
    use = sentence_transformers_use(checkpoint(HEAD))
    assert use.count("def apply_heads(") == 1
    assert "mtlkit" not in use
    assert 'outputs = apply_heads("this/folder", vectors)' in use
    assert 'SentenceTransformer("this/folder")' in use.partition("apply_heads")[2]


def test_the_card_says_how_to_use_heads_for_pairs() -> None:
    pairs = checkpoint(HEAD, replace(HEAD, name="nli", pair="vectors"))
    use = sentence_transformers_use(pairs)
    assert "heads that read pairs of texts (`nli`)" in use
    assert 'outputs = apply_heads("this/folder", first, second)' in use
    assert "`pairs.onnx`" in onnx_use(pairs)
    assert "pairs" not in onnx_use(checkpoint(HEAD))


def test_the_card_says_how_words_are_labelled() -> None:
    chained = TaskSpec("ner", "tokens", ("O", "B-X", "I-X"), tags="bio", transitions="learned")
    use = sentence_transformers_use(checkpoint(HEAD, chained))
    assert use.count("def label_words(") == use.count("def best_paths(") == 1
    assert 'labels["ner"]' in use
    assert "label_words" not in sentence_transformers_use(checkpoint(HEAD))
    assert "`transitions:NAME`" in onnx_use(checkpoint(chained))
    assert "for each token" in onnx_use(checkpoint(replace(chained, transitions=None)))
    assert "transitions" not in onnx_use(checkpoint(HEAD, replace(chained, transitions=None)))


def test_the_card_applies_thresholds() -> None:
    assert "thresholds" not in sentence_transformers_use(checkpoint(HEAD)) + onnx_use(checkpoint(HEAD))
    calibration = Calibration("thresholds", thresholds=(0.2, 0.5))
    tags = checkpoint(TaskSpec("tags", "multi-label", ("a", "b"), calibration=calibration))
    assert "> torch.tensor(thresholds)" in sentence_transformers_use(tags)
    assert "threshold in `config.json`" in onnx_use(tags)


def test_heads_are_shown_with_whole_vectors_where_the_model_cuts_them() -> None:
    use = sentence_transformers_use(checkpoint(HEAD, truncate_dim=4))
    assert 'SentenceTransformer("this/folder", truncate_dim=8)' in use.partition("apply_heads")[2]


def test_card_mentions_different_truncation() -> None:
    assert "Texts of more than 64 tokens are truncated" in sentence_transformers_use(checkpoint(truncate="head-tail"))
    assert "Texts of more" not in sentence_transformers_use(checkpoint())


def test_the_card_names_the_prompt_and_the_input_that_leaves_it_out() -> None:
    spoken = checkpoint(prompts={"query": "query: "}, default_prompt="query", include_prompt=False)
    for use in (sentence_transformers_use, onnx_use):
        assert "`query: `" in use(spoken)
        assert "is put before" not in use(checkpoint())
    assert "`prompt_tokens`" in onnx_use(spoken)
    assert "`prompt_tokens`" not in onnx_use(checkpoint())


def test_card_of_a_base_explains_generation() -> None:
    use = transformers_use(checkpoint(), "<bos>", "<eos>")
    assert 'pipeline("text-generation", model="this/folder")' in use
    assert "`<bos>`" in use
    assert "end each text with `<eos>`" in use
    assert "64 tokens" in use
