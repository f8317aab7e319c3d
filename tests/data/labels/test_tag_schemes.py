"""Schemes of tags: recognized by names, spans from tags and back, and which tag may follow which."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from mtlkit.data.labels.tag_schemes import Tags, complete_tags, repair, scheme_of, tags_of

BIO = complete_tags(["B-PER", "I-LOC", "O"])
BIOES = complete_tags(["B-PER", "E-PER", "S-LOC"])


def numbers(tags: Tags, *texts: str) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of tags written as "O B-PER I-PER", and where each text begins."""
    rows = [text.split() for text in texts]
    flat = [tags.names.index(name) for row in rows for name in row]
    return np.array(flat, np.int64), np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)


def random_texts(tags: Tags, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    lengths = random.integers(0, 9, size=60)
    return random.integers(len(tags.names), size=lengths.sum()), np.concatenate([[0], np.cumsum(lengths)])


def as_names(tags: Tags, flat: np.ndarray, offsets: np.ndarray) -> list[list[str]]:
    return [[tags.names[number] for number in flat[start:end]] for start, end in pairwise(offsets)]


@pytest.mark.parametrize(
    ("names", "scheme"),
    [
        ("O B-PER I-PER", "bio"),
        ("O I-PER", "bio"),
        ("B-NP I-NP", "bio"),
        ("O B I", "bio"),
        ("O B_PER I_PER", "bio"),
        ("O B-PER I-PER E-PER S-PER", "bioes"),
        ("O B-PER I-PER L-PER U-PER", "bioes"),
        ("B M E S", "bioes"),
        ("NOUN VERB", "plain"),
        ("O", "plain"),
        ("O B-PER PER", "plain"),
        ("O B B-PER", "plain"),
        ("I O S", "plain"),
    ],
)
def test_a_scheme_is_recognized_by_its_names(names: str, scheme: str) -> None:
    assert scheme_of(names.split()) == scheme


def test_a_new_head_has_every_tag_of_every_type() -> None:
    assert BIO.names == ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    assert BIO.types == ("PER", "LOC")
    assert complete_tags(["O", "U-X", "L-X"]).names == ("O", "B-X", "I-X", "E-X", "S-X")
    assert complete_tags(["I", "O", "B"]).names == ("O", "B", "I")
    assert complete_tags(["NOUN", "O", "NOUN"]).names == ("NOUN", "O")
    assert complete_tags(["B-X", "O"], "plain").names == ("B-X", "O")


@pytest.mark.parametrize("tags", [BIO, BIOES, complete_tags(["B", "I"])], ids=["bio", "bioes", "bare"])
def test_spans_are_those_of_seqeval_also_of_invalid_tags(tags: Tags) -> None:
    for seed in range(20):
        flat, offsets = random_texts(tags, seed)
        spans = tags.spans(flat, offsets)
        found = [
            (t, tags.types[k], s, e - 1) for t, s, e, k in zip(spans.texts, spans.starts, spans.ends, spans.types, strict=True)
        ]
        rows = as_names(tags, flat, offsets)
        assert found == [(text, *entity) for text, row in enumerate(rows) for entity in get_entities(row)]


@pytest.mark.parametrize(("tags", "scheme"), [(BIO, IOB2), (BIOES, IOBES)], ids=["bio", "bioes"])
def test_spans_become_valid_tags_with_the_same_spans(tags: Tags, scheme: type) -> None:
    flat, offsets = random_texts(tags, 0)
    spans = tags.spans(flat, offsets)
    encoded = tags.encode(spans, offsets)
    again = tags.spans(encoded, offsets)
    assert all(np.array_equal(getattr(spans, name), getattr(again, name)) for name in ("texts", "starts", "ends", "types"))
    strict = Entities(as_names(tags, encoded, offsets), scheme)  # which reads valid sequences only
    assert sum(map(len, strict.entities)) == len(spans)


def test_words_with_plain_tags_are_spans() -> None:
    tags = tags_of(["NOUN", "VERB"])
    flat, offsets = numbers(tags, "NOUN NOUN VERB", "", "VERB")
    spans = tags.spans(flat, offsets)
    assert spans.table().tolist() == [[0, 0, 1, 0], [0, 1, 2, 0], [0, 2, 3, 1], [2, 0, 1, 1]]
    assert np.array_equal(tags.encode(spans, offsets), flat)
    assert tags.transitions().pairs.all()


@pytest.mark.parametrize("tags", [BIO, BIOES], ids=["bio", "bioes"])
def test_allowed_paths_are_the_valid_sequences(tags: Tags) -> None:
    allowed = tags.transitions()
    for path in product(range(len(tags.names)), repeat=3):
        flat, offsets = np.array(path), np.array([0, 3])
        valid = np.array_equal(tags.encode(tags.spans(flat, offsets), offsets), flat)
        pairs = pairwise(path)
        assert valid == (allowed.start[path[0]] and allowed.end[path[-1]] and all(allowed.pairs[pair] for pair in pairs))


def test_a_head_without_b_tags_begins_spans_with_i() -> None:
    tags = tags_of(["O", "I-PER", "I-LOC"])
    allowed = tags.transitions()
    assert allowed.start.all()
    assert allowed.pairs.all()
    spans = tags.spans(*numbers(tags, "I-PER I-PER I-LOC O"))
    assert np.array_equal(tags.encode(spans, np.array([0, 4])), [1, 1, 2, 0])


def test_invalid_sequences_are_repaired_and_counted() -> None:
    flat, offsets = numbers(BIO, "B-PER I-PER", "O I-PER I-PER", "B-LOC I-PER")
    repaired = repair(BIO, flat, offsets)
    assert as_names(BIO, repaired.tags, offsets)[1:] == [["O", "B-PER", "I-PER"], ["B-LOC", "B-PER"]]
    assert repaired.changed.tolist() == [3, 6]
    assert not repaired.iob1
    assert not len(repair(BIO, repaired.tags, offsets).changed)
    assert not repair(BIO, repaired.tags, offsets).iob1


def test_iob1_is_recognized() -> None:
    flat, offsets = numbers(BIO, "I-PER I-PER O I-LOC", "I-PER B-PER I-PER I-LOC")
    repaired = repair(BIO, flat, offsets)
    assert repaired.iob1
    assert as_names(BIO, repaired.tags, offsets) == [["B-PER", "I-PER", "O", "B-LOC"], ["B-PER", "B-PER", "I-PER", "B-LOC"]]
