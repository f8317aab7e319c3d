"""Problems with the tags of words, and how they are reported."""

from __future__ import annotations

from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.quality.findings import CheckedSplit, split_of
from mtlkit.data.quality.near_duplicates import TextNumbers
from mtlkit.data.quality.tagged import one_tag, unseen_tags
from mtlkit.data.tokenization.word_splitting import split_words
from mtlkit.recipes.training.data_warnings import quick_findings
from mtlkit.report.findings import example_lines, finding_message


def split(name: str, numbers: TextNumbers, **rows: str) -> CheckedSplit:
    """A split of texts with their tags, the underscores of whose names are blanks."""
    texts = [text.replace("_", " ") for text in rows]
    places = [f"{name}.conll:{row + 1}" for row in range(len(texts))]
    labels = [tuple(tags.split()) for tags in rows.values()]
    table = LabelledTable(texts, list(labels), places, words=[split_words(text) for text in texts])
    return split_of("ner", name, table, numbers, judged=name != "train")


def test_types_that_training_does_not_have_are_unseen() -> None:
    numbers = TextNumbers()
    train = split("train", numbers, Anna_sings="B-PER O")
    other = split("test", numbers, Bob_Ray="B-PER I-PER", In_Rome="O B-LOC", New_York="B-LOC I-LOC")
    (found,) = unseen_tags(train, other)
    assert (found.rows, found.of, found.labels, found.spoils) == (2, 3, ("B-LOC", "I-LOC"), True)
    assert "2 of 3 test rows have a tag that is not in train ('B-LOC', 'I-LOC')" in finding_message(found)
    assert list(unseen_tags(other, train)) == []


def test_words_of_one_tag() -> None:
    (found,) = one_tag(split("train", TextNumbers(), It_rains="O O", Yes="O"))
    assert "the tag 'O' only" in finding_message(found)
    assert list(one_tag(split("train", TextNumbers(), Anna_sings="B-PER O"))) == []


def test_texts_with_different_tags_show_their_spans() -> None:
    numbers = TextNumbers()
    train = split("train", numbers, In_Paris="O B-LOC", Bob="B-PER")
    again = split("test", numbers, In_Paris="O B-PER")
    findings = {finding.problem: finding for finding in quick_findings([train, again], "tokens")}
    assert set(findings) == {"overlap", "two labels"}
    assert "1 text of test has other tags in train" in finding_message(findings["two labels"])
    (line,) = example_lines(findings["two labels"].examples[0], 100)
    assert "'PER Paris'" in line
    assert "'LOC Paris'" in line


def test_tags_that_differ_in_case_only() -> None:
    train = split("train", TextNumbers(), In_Paris="O B-LOC", In_Rome="O B-loc")
    (found,) = quick_findings([train], "tokens")
    assert found.problem == "alike"
    assert "rename them" in finding_message(found)
