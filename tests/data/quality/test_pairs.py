"""Problems with pairs of texts, from tables to findings."""

from __future__ import annotations

import numpy as np
import pytest

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.pair_data import PairTexts, encoded_pairs
from mtlkit.data.datasets.pairs import PairTable
from mtlkit.data.encoded import Encoded
from mtlkit.data.quality.findings import Finding, ScoreSummary
from mtlkit.data.quality.near_duplicates import PairNumbers, TextNumbers
from mtlkit.data.quality.pairs import CheckedPairSplit, pair_findings, pair_split, read_findings, score_range, shared_with

LONG = "The harbour master said that the storm took the roofs of eleven houses and left two boats on the square."
OTHER = "Nobody knows how many of the old apple trees behind the northern chapel will bear fruit in September."
NEAR_LONG, NEAR_OTHER = LONG.replace("eleven", "twelve"), OTHER.replace("September", "October")


def table(pairs: str | list[tuple[str, str]], scores: list[float] | None = None) -> PairTable:
    """`"ab cd"` is a pair of a and b, and one of c and d."""
    both = [(first, second) for first, second in (pairs.split() if isinstance(pairs, str) else pairs)]
    record = SourceRecord("", first="one", second="two", label=("gold",) if scores else ())
    places = [f"{row}" for row in range(len(both))]
    values = [float(score) for score in scores or []]
    return PairTable([first for first, _ in both], [second for _, second in both], values, record, places)


def findings_of(train: PairTable, *others: PairTable) -> list[Finding]:
    numbers = TextNumbers(), PairNumbers()
    tables = dict(zip(("train", "validation", "test"), (train, *others), strict=False))
    last = list(tables)[-1]
    splits = [pair_split("t", name, split, numbers, judged=name == last) for name, split in tables.items()]
    return list(pair_findings(splits, numbers))


def problems(findings: list[Finding]) -> list[tuple[str, str, str, int, int, bool]]:
    return [(finding.problem, finding.noun, finding.split, finding.rows, finding.of, finding.spoils) for finding in findings]


def test_a_pair_that_repeats_another_in_either_order() -> None:
    (finding,) = findings_of(table([("a", "b"), ("c", "d"), (" B", "A "), ("a", "d")]))
    assert problems([finding]) == [("repeated", "pair", "train", 1, 4, False)]
    assert finding.examples[0].places == ("2", "0")
    assert (finding.examples[0].text, finding.examples[0].partner) == (" B", "A ")


def test_pairs_of_train_spoil_only_what_is_judged() -> None:
    findings = findings_of(table("ab cd ef"), table("ba gh"), table("ij ef ef"))
    assert problems(findings) == [
        ("repeated", "pair", "test", 1, 3, False),
        ("overlap", "pair", "validation", 1, 2, False),
        ("overlap", "pair", "test", 2, 3, True),
    ]
    assert findings[1].examples[0].places == ("0", "0")
    assert findings[2].examples[0].places == ("1", "2")


def test_a_text_of_train_in_another_pair_spoils_nothing() -> None:
    (finding,) = findings_of(table("ab cd"), table("ad ex yb"))
    assert problems([finding]) == [("overlap", "text", "validation", 3, 6, False)]
    assert [example.places for example in finding.examples] == [("0", "0"), ("0", "1"), ("2", "0")]


def test_texts_of_leaked_pairs_are_not_counted_again() -> None:
    assert problems(findings_of(table("ab cd"), table("ab ax xy"))) == [
        ("overlap", "pair", "validation", 1, 3, True),
        ("overlap", "text", "validation", 1, 6, False),
    ]


def test_a_pair_is_near_only_where_both_of_its_texts_are() -> None:
    train = table([(LONG, "a"), ("b", OTHER), (LONG, OTHER)])
    findings = findings_of(train, table([(NEAR_LONG, "a"), ("c", NEAR_LONG), (NEAR_OTHER, NEAR_LONG)]))
    assert problems(findings) == [
        ("near", "pair", "validation", 2, 3, True),
        ("near", "text", "validation", 1, 6, False),
    ]
    one_side, both = findings[0].examples
    assert (one_side.text, one_side.partner, one_side.other, one_side.other_partner) == (NEAR_LONG, "a", LONG, "a")
    assert (both.text, both.partner, both.other, both.other_partner) == (NEAR_OTHER, NEAR_LONG, LONG, OTHER)
    assert (both.places, one_side.places) == (("2", "2"), ("0", "0"))
    assert all(0.8 <= (example.resemblance or 0) < 1 for example in (one_side, both))


def test_two_scores_of_a_pair_are_further_apart_than_a_standard_deviation() -> None:
    train = table("ab cd ef gh ba dc", [0, 1, 4, 5, 5, 1.5])
    findings = findings_of(train, table("fe hg", [4.5, 0]))
    assert problems(findings)[-2:] == [
        ("two labels", "pair", "train", 1, 6, True),
        ("two labels", "pair", "validation", 1, 2, True),
    ]
    assert findings[-2].examples[0].labels == ("0", "5")


def test_scores_on_another_scale_than_those_of_train() -> None:
    findings = findings_of(table("ab cd ef", [0, 2, 5]), table("gh ij kl mn", [-1, 5.4, 100, 3]))
    assert problems(findings) == [("outside", "pair", "validation", 2, 4, False)]
    assert findings[0].labels == ("0", "5")
    assert findings_of(table("ab cd", [3, 3]), table("gh ij", [0, 9])) == []  # said otherwise


def test_the_range_of_scores() -> None:
    assert score_range([3.0, 1.0, 3.0, 2.0]) == ScoreSummary(1.0, 2.5, 3.0, 3)
    assert score_range([]) is None


def as_read(pairs: PairTable) -> PairTexts:
    """A token a text, by its letters without case."""
    ids = np.array([ord(text.lower()) for text in [*pairs.firsts, *pairs.seconds]], np.uint16)
    return encoded_pairs(Encoded(ids, np.arange(len(ids) + 1)), pairs.scores)


def split_of(pairs: PairTable, name: str = "train") -> CheckedPairSplit:
    return pair_split("t", name, pairs, (TextNumbers(), PairNumbers()))


@pytest.mark.parametrize(
    ("pairs", "scores", "reason"),
    [
        ("ab ac ad", None, "column 'one' has the same tokens in all 3 rows"),
        ("ab bc ca", None, "any two of the 3 pairs have a text in common"),
        ("ab cd ef", [3.0, 3.0, 3.0], "column 'gold' is 3 in all 3 rows"),
        ("aA bb cc", [1.0, 2.0, 3.0], "columns 'one' and 'two' have the same text in each of 3 rows"),
        ("ab ba ab", [1.0, 2.0, 3.0], "all 3 rows have the same pair of texts"),
    ],
)
def test_pairs_that_a_training_refuses_are_a_finding(pairs: str, scores: list[float] | None, reason: str) -> None:
    rows = table(pairs, scores)
    for name in ("train", "validation"):
        (finding,) = read_findings(split_of(rows, name), as_read(rows))
        assert (finding.problem, finding.split, finding.rows, finding.of, finding.spoils) == ("unusable", name, 3, 3, True)
        assert finding.reason.startswith(reason)
        assert finding.reason in (reason, f"{reason}, as the model reads it")


def test_the_same_text_on_both_sides_as_the_model_reads_it() -> None:
    rows = table("aA bc de fg hi jk lm no pq rs tt uv", [float(row) for row in range(12)])
    (finding,) = read_findings(split_of(rows), as_read(rows))
    assert (finding.problem, finding.rows, finding.spoils) == ("same sides", 2, False)
    assert [example.places for example in finding.examples] == [("0",), ("10",)]


def test_pairs_that_share_their_texts_with_many_others() -> None:
    shared, alone = "ab ac ad", "ef gh ij kl mn op qr st uv"
    for name, wanted in (("train", [("few negatives", 3)]), ("validation", [])):
        rows = table(f"{shared} {alone}")
        findings = list(read_findings(split_of(rows, name), as_read(rows)))
        assert [(one.problem, one.rows) for one in findings] == wanted
    rows = table(f"ab ac {alone} wx yz")
    assert list(read_findings(split_of(rows), as_read(rows))) == []  # 1 of 12 others is a tenth at most


def test_shared_pairs_are_counted_as_a_batch_masks_them() -> None:
    letters = np.random.default_rng(0).choice(list("abcdefghij"), (40, 2))
    read = as_read(table([(first, second) for first, second in letters.tolist()]))
    assert shared_with(read).tolist() == read.same(np.arange(40)).sum(1).tolist()
