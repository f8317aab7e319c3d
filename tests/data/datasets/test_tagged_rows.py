"""Rows as texts whose words have tags, from every form of data."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.datasets.labelled import read_tagged
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.datasets.tagged_rows import TaggedRows, is_tagged
from mtlkit.data.sources import open_source
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.rows import SkippedRows, good_rows
from mtlkit.errors import DataError, UsageError

ROWS = [
    {"tokens": ["Anna", "lives", "in", "New", "York"], "ner_tags": ["B-PER", "O", "O", "B-LOC", "I-LOC"]},
    {"tokens": ["Hello"], "ner_tags": ["O"]},
]
SPANS = [
    {"text": "Anna lives in New York.", "entities": [[14, 22, "LOC"], [0, 4, "PER"]]},
    {"text": "Hello", "entities": []},
]
KEYS = "?tokens=tokens&tags=ner_tags"


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def options(**changes: Any) -> ReadOptions:
    return ReadOptions(None, "error", SkippedRows(), **changes)


def tagged(address: str, reading: ReadOptions | None = None, split: str = "train", **changes: Any) -> TaggedRows:
    path, query = parse_source(address)
    return TaggedRows(open_source(path, query), query, split, reading or options(keep_places=True), **changes)


def read(rows: TaggedRows) -> list[tuple[list[str], tuple[str, ...]]]:
    """The words and tags of each text."""
    found = list(good_rows(rows.rows(), rows.reading.on_bad_row, rows.reading.tally))
    labels = rows.finish([row["label"] for row in found])
    return [([row["text"][a:b] for a, b in row["words"]], tags) for row, tags in zip(found, labels, strict=True)]  # type: ignore[misc]


EXPECTED = [(row["tokens"], tuple(row["ner_tags"])) for row in ROWS]
HF = {"tokens": {"_type": "Value"}, "ner_tags": {"feature": {"names": ["O", "B-PER", "B-LOC", "I-LOC"], "_type": "ClassLabel"}}}


def write_numbered(path: Path) -> Path:
    """A parquet file of `datasets`, with the names of numbers in its schema."""
    names = HF["ner_tags"]["feature"]["names"]
    rows = [{**row, "ner_tags": [names.index(tag) for tag in row["ner_tags"]]} for row in ROWS]
    table = pyarrow.Table.from_pylist(rows).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": HF}})})
    parquet.write_table(table, path)
    return path


def test_lists_of_words_and_tags(tmp_path: Path) -> None:
    rows = tagged(f"{write_jsonl(tmp_path / 'a.jsonl', ROWS)}{KEYS}")
    assert read(rows) == EXPECTED
    record = rows.record()
    assert (record.kind, record.tokens, record.tags, record.scheme) == ("tokens", "tokens", "ner_tags", "bio")
    plain = replace(record, kind=None)
    assert plain == SourceRecord.from_json(json.loads(json.dumps(plain.to_json())))


def test_text_and_places_of_a_row(tmp_path: Path) -> None:
    rows = list(tagged(f"{write_jsonl(tmp_path / 'a.jsonl', ROWS)}{KEYS}").rows())
    assert rows[0]["text"] == "Anna lives in New York"
    assert rows[1]["place"].endswith("a.jsonl:2")
    assert rows[0]["words"].dtype == np.int64


def test_numbers_of_tags_have_the_names_of_the_file(tmp_path: Path) -> None:
    assert read(tagged(f"{write_numbered(tmp_path / 'a.parquet')}{KEYS}")) == EXPECTED


def test_numbers_of_tags_have_the_names_of_the_source_or_the_model(tmp_path: Path) -> None:
    rows = [{"tokens": row["tokens"], "ner_tags": [len(tag) % 2 for tag in row["ner_tags"]]} for row in ROWS]  # type: ignore[misc]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    named = tagged(f"{path}{KEYS}&names=B,O")
    found = read(named)
    assert found[0][1] == ("O", "O", "O", "O", "O")
    assert read(tagged(f"{path}{KEYS}", options(recorded=named.record()))) == found
    with pytest.raises(DataError, match=r"a.jsonl:1: column 'ner_tags' has the number 1 .*names="):
        read(tagged(f"{path}{KEYS}"))


@pytest.mark.parametrize("name", ["a.conll", "a.txt?format=conll"])
def test_conll_files_need_no_keys(tmp_path: Path, name: str) -> None:
    (tmp_path / name.partition("?")[0]).write_text("Anna\tNNP\tI-PER\nlives\tVBZ\tO\n\nParis\tNNP\tI-LOC\n", encoding="utf-8")
    rows = tagged(f"{tmp_path}/{name}")
    assert is_tagged(rows.source, rows.query, None)
    assert read(rows) == [(["Anna", "lives"], ("B-PER", "O")), (["Paris"], ("B-LOC",))]
    assert "IOB1" in rows.record().remarks[-1]
    assert read(tagged(f"{tmp_path}/{name}{'&' if '?' in name else '?'}tags=2"))[0][1] == ("NNP", "VBZ")


def test_folders_with_conll_files_for_splits(tmp_path: Path) -> None:
    for split, word in (("train", "Anna"), ("dev", "Bob"), ("test", "Cleo")):
        (tmp_path / f"wiki.{split}.iob2").write_text(f"{word} B-PER\nis O\n", encoding="utf-8")
    rows = tagged(str(tmp_path), split="validation")
    assert is_tagged(rows.source, rows.query, None)
    assert read(rows) == [(["Bob", "is"], ("B-PER", "O"))]


def test_universal_dependencies(tmp_path: Path) -> None:
    lines = [
        f"{number}\t{word}\t_\t{tag}\tX{number}" + "\t_" * 5 for number, word, tag in ((1, "She", "PRON"), (2, "ran", "VERB"))
    ]
    (tmp_path / "a.conllu").write_text("\n".join(lines), encoding="utf-8")
    assert read(tagged(f"{tmp_path}/a.conllu")) == [(["She", "ran"], ("PRON", "VERB"))]
    for key in ("xpos", "5"):
        assert read(tagged(f"{tmp_path}/a.conllu?tags={key}"))[0][1] == ("X1", "X2")


def test_spans_become_bio_tags(tmp_path: Path) -> None:
    rows = tagged(f"{write_jsonl(tmp_path / 'a.jsonl', SPANS)}?text=text&spans=entities")
    (first, tags), second = read(rows)
    assert first == ["Anna", "lives", "in", "New", "York", "."]
    assert tags == ("B-PER", "O", "O", "B-LOC", "I-LOC", "O")
    assert second == (["Hello"], ("O",))
    assert not rows.record().remarks
    assert (rows.record().text, rows.record().spans) == (("text",), "entities")


def test_words_are_split_at_the_ends_of_spans(tmp_path: Path) -> None:
    row = {"text": "pre-Columbian, New-Yorker ", "spans": [[4, 13, "A"], [15, 18, "B"], [18, 26, "C"]]}
    rows = tagged(f"{write_jsonl(tmp_path / 'a.jsonl', [row])}?spans=spans")
    assert read(rows) == [(["pre-", "Columbian", ",", "New", "-Yorker"], ("O", "B-A", "O", "B-B", "B-C"))]
    split, trimmed = rows.record().remarks
    assert "3 spans with an edge within a word" in split
    assert "1 span" in trimmed


def test_invalid_sequences_are_counted_with_the_first_place(tmp_path: Path) -> None:
    (tmp_path / "a.bio").write_text("Anna B-PER\nis O\n\nin O\nParis I-LOC\n", encoding="utf-8")
    rows = tagged(f"{tmp_path}/a.bio", options())
    assert read(rows)[1][1] == ("O", "B-LOC")
    (remark,) = rows.record().remarks
    assert "1 of 4 tags" in remark
    assert "a.bio:4" in remark


def test_mixed_tags_are_named_with_the_first_place(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Anna B-PER\nis O\n\nin O\nParis NOUN\n", encoding="utf-8")
    rows = tagged(f"{tmp_path}/a.conll", options())
    assert read(rows)[1][1] == ("O", "NOUN")
    (remark,) = rows.record().remarks
    assert re.search(r"\(B-PER\) are mixed with other tags \(NOUN\), as in .*a\.conll:[14]; .*scheme=plain", remark)
    plain = tagged(f"{tmp_path}/a.conll?scheme=plain", options())
    assert read(plain) == read(rows)
    assert (plain.record().remarks, plain.record().scheme) == ((), "plain")
    path, query = parse_source(f"{tmp_path}/a.conll?scheme=bio")
    with pytest.raises(DataError, match=r"a\.conll:4: the tag 'NOUN' is not of scheme=bio"):
        read_tagged(open_source(path, query), query, "train", options())


def test_a_model_reads_other_files_in_its_scheme_and_columns(tmp_path: Path) -> None:
    trained = tagged(f"{write_jsonl(tmp_path / 'a.jsonl', ROWS)}{KEYS}")
    read(trained)
    recorded = options(recorded=trained.record())
    (tmp_path / "b.bioes").write_text("Anna S-PER\n\nNew B-LOC\nYork E-LOC\n", encoding="utf-8")
    found = read(tagged(f"{tmp_path}/b.bioes", recorded))
    assert [tags for _, tags in found] == [("B-PER",), ("B-LOC", "I-LOC")]
    assert read(tagged(str(tmp_path / "a.jsonl"), recorded)) == EXPECTED
    spans = tagged(f"{write_jsonl(tmp_path / 'c.jsonl', SPANS)}?text=text&spans=entities", recorded)
    assert read(spans)[0][1] == ("B-PER", "O", "O", "B-LOC", "I-LOC", "O")
    assert read(tagged(f"{tmp_path}/c.jsonl", options(recorded=spans.record()))) == read(spans)


def test_words_are_read_without_labels(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"tokens": row["tokens"]} for row in ROWS])
    assert [row["label"] for row in tagged(f"{path}?tokens=tokens", labelled=False).rows()] == [(), ()]
    (tmp_path / "a.conll").write_text("Anna\nlives\n", encoding="utf-8")
    (row,) = tagged(f"{tmp_path}/a.conll", labelled=False).rows()
    assert row["text"] == "Anna lives"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "a.jsonl:3: 2 words in column 'tokens' and 1 tag in 'ner_tags'"),
        ({"tokens": [], "ner_tags": []}, "a.jsonl:3: column 'tokens' has no words"),
        ({"tokens": ["a"], "ner_tags": [None]}, "a.jsonl:3: column 'ner_tags' has None instead of a tag"),
        ({"tokens": ["a"]}, "a.jsonl:3: column 'ner_tags' has no tags"),
    ],
)
def test_bad_rows_are_named_or_skipped(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    address = f"{write_jsonl(tmp_path / 'a.jsonl', [*ROWS, row])}{KEYS}"
    with pytest.raises(DataError, match=message):
        read(tagged(address))
    tally = SkippedRows()
    assert read(tagged(address, ReadOptions(None, "skip", tally))) == EXPECTED
    assert tally.skipped == 1


def test_tags_that_names_does_not_list_are_bad_rows(tmp_path: Path) -> None:
    tokens = f"{write_jsonl(tmp_path / 'a.jsonl', ROWS)}{KEYS}&names=O,B-PER,I-PER"
    with pytest.raises(DataError, match=r"a.jsonl:1: column 'ner_tags' has the tag 'B-LOC', which names= does not list"):
        read(tagged(tokens))
    spans = f"{write_jsonl(tmp_path / 'b.jsonl', SPANS)}?text=text&spans=entities&names=PER"
    with pytest.raises(DataError, match=r"b.jsonl:1: column 'entities' has the tag 'LOC', which names= does not list"):
        read(tagged(spans))


def test_a_head_that_trains_on_reads_tags_in_its_scheme(tmp_path: Path) -> None:
    rows = [{"tokens": ["New", "York", "Bob"], "ner_tags": ["B-LOC", "E-LOC", "S-PER"]}]
    address = f"{write_jsonl(tmp_path / 'a.jsonl', rows)}{KEYS}"
    assert read(tagged(address, options(scheme="bio")))[0][1] == ("B-LOC", "I-LOC", "B-PER")
    assert read(tagged(address, options(scheme="bioes")))[0][1] == ("B-LOC", "E-LOC", "S-PER")
    back = f"{write_jsonl(tmp_path / 'b.jsonl', ROWS)}{KEYS}"
    assert read(tagged(back, options(scheme="bioes")))[0][1] == ("S-PER", "O", "O", "B-LOC", "E-LOC")


def test_spans_that_overlap_are_a_bad_row(tmp_path: Path) -> None:
    row = {"text": "Anna Ann", "entities": [[0, 4, "A"], [2, 8, "B"]]}
    with pytest.raises(DataError, match=r"a.jsonl:1: column 'entities' has overlapping spans"):
        read(tagged(f"{write_jsonl(tmp_path / 'a.jsonl', [row])}?spans=entities"))
    blank = write_jsonl(tmp_path / "b.jsonl", [{"text": " ", "entities": []}])
    with pytest.raises(DataError, match=r"b.jsonl:1: no words in column 'text'"):
        read(tagged(f"{blank}?spans=entities"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("?tokens=token&tags=ner_tags", "column 'token' not found .*did you mean 'tokens'"),
        ("?tags=tags", "column 'tags' not found"),
        ("?text=text&spans=spans", "column 'spans' not found"),
        ("?tokens=tokens&tags=tokens", "named for both words and tags"),
    ],
)
def test_missing_columns_are_named(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tagged(f"{write_jsonl(tmp_path / 'a.jsonl', ROWS)}{keys}"))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("tokens=a&label=b", "label="),
        ("tokens=a&pair=a,b", "pair="),
        ("spans=a&tags=b", "tags="),
        ("tokens=a&text=b", "remove text="),
        ("tokens=a&kind=regression", "kind=regression"),
        ("tokens=a&transitions=lerned", "did you mean 'learned'"),
        ("tokens=a&scheme=bioe", "did you mean 'bioes'"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(keys: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_source(f"a.jsonl?{keys}")
