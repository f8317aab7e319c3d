from __future__ import annotations

import json

from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.report.card import model_card
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


def test_the_card_tells_what_the_model_is_and_how_to_use_it() -> None:
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
