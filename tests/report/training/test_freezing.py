from __future__ import annotations

from mtlkit.report.training.freezing import freezing_record, proven
from mtlkit.training.events import Part

FROZEN = Part("embeddings", 100, 0, "a" * 64, "a" * 64)
TRAINED = Part("head:topic", 10, 10)


def test_the_record_has_digests_before_and_after() -> None:
    record = freezing_record(proven([FROZEN, TRAINED]))
    assert record["parts"] == [{"part": "embeddings", "parameters": 100, "before": "a" * 64, "after": "a" * 64}]
    assert record["words"] == ["embeddings: 100 weights with the same SHA-256 before and after training"]


def test_a_part_is_frozen_if_it_was_in_every_phase() -> None:
    first = [FROZEN, Part("layers:0", 50, 50)]
    second = [FROZEN, Part("layers:0", 50, 0, "b" * 64, "b" * 64)]
    assert proven(second, proven(first)) == [FROZEN]
    assert proven([Part("embeddings", 100, 0, "c" * 64, "c" * 64)], proven(first)) == []
