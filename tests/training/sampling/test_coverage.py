from __future__ import annotations

import numpy as np
from cutting import as_saved

from mtlkit.training.sampling.coverage import Coverage, CoverageCounts


def test_every_batch_text_and_row_is_counted() -> None:
    coverage = Coverage({"topic": 5, "stars": 2})
    coverage.add({"topic": np.array([0, 1, 2]), "stars": np.array([1])})
    coverage.add({"topic": np.array([2, 4])})
    coverage.add({"topic": np.array([1, 1, 1])})  # a row thrice in a batch counts thrice
    assert coverage["topic"] == CoverageCounts(batches=3, texts=8, rows=5, unseen=1, least=0, most=4)
    assert coverage["topic"].repeats == 8 / 5
    assert coverage.times("topic").tolist() == [1, 4, 2, 0, 1]
    assert coverage["stars"] == CoverageCounts(batches=1, texts=1, rows=2, unseen=1, least=0, most=1)


def test_skipped_rows_are_reported_only_if_there_are_any() -> None:
    coverage = Coverage({"topic": 2000, "stars": 2})
    assert coverage.left_out() == "topic 2,000 of 2,000, stars 2 of 2"
    coverage.add({"topic": np.arange(900), "stars": np.array([0, 1])})
    assert coverage.left_out() == "topic 1,100 of 2,000"
    coverage.add({"topic": np.arange(900, 2000)})
    assert coverage.left_out() == ""
    assert coverage["topic"].repeats == 1.0


def test_state_continues_counting() -> None:
    coverage, again = Coverage({"topic": 5, "stars": 2}), Coverage({"topic": 5, "stars": 2})
    coverage.add({"topic": np.array([0, 1, 1]), "stars": np.array([1])})
    saved = as_saved(coverage.state_dict())
    again.load_state_dict(saved)
    coverage.add({"topic": np.array([1, 4])})
    assert again["topic"] == CoverageCounts(batches=1, texts=3, rows=5, unseen=3, least=0, most=2)
    again.add({"topic": np.array([1, 4])})
    for name in ("topic", "stars"):
        assert again[name] == coverage[name]
        assert again.times(name).tolist() == coverage.times(name).tolist()
    assert saved.tensors["topic"].tolist() == [1, 2, 0, 0, 0]  # counting on leaves the state alone
