"""Files with a word per line and columns of tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.data.formats.conll import looks_tagged
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.rows import BadRow, PlacedRow

TWO = "EU NNP B-ORG\nrejects VBZ O\n\n-DOCSTART- -X- O\n\nPeter NNP B-PER\n"


def rows(tmp_path: Path, content: str, name: str = "a.conll") -> list[PlacedRow | BadRow]:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return list(read(path))


@pytest.mark.parametrize("name", ["a.conll", "a.iob2", "a.bio", "a.iob", "a.bioes"])
@pytest.mark.parametrize("mark", [" ", "\t", "  "])
def test_a_row_for_each_sentence_with_the_line_of_its_first_word(tmp_path: Path, name: str, mark: str) -> None:
    first, second = rows(tmp_path, TWO.replace(" ", mark), name)
    assert first == {"1": ["EU", "rejects"], "2": ["NNP", "VBZ"], "3": ["B-ORG", "O"]}
    assert second == {"1": ["Peter"], "2": ["NNP"], "3": ["B-PER"]}
    assert [row.place.rpartition(":")[2] for row in (first, second)] == ["1", "6"]


def test_hash_can_be_a_word_and_begin_a_comment(tmp_path: Path) -> None:
    (only,) = rows(tmp_path, "# id = 1\n# New York\n#\tO\nrocks\tO\n#\tB-X\n")
    assert only == {"1": ["#", "rocks", "#"], "2": ["O", "O", "B-X"]}
    (blanks,) = rows(tmp_path, "# a longer comment\n#now O\n# O\n")
    assert blanks["1"] == ["#now", "#"]


def test_words_may_contain_blanks_between_tabs(tmp_path: Path) -> None:
    (only,) = rows(tmp_path, "New York\tB-LOC \nis\tO\n\t\n")
    assert only == {"1": ["New York", "is"], "2": ["B-LOC", "O"]}


def test_columns_of_universal_dependencies_have_names(tmp_path: Path) -> None:
    lines = ["# text = vámonos al mar", *(f"{number}\t{word}\t_\t{tag}" + "\t_" * 6 for number, word, tag in UNIVERSAL)]
    (only,) = rows(tmp_path, "\n".join(lines) + "\n", "a.conllu")
    assert only["form"] == ["vamos", "nos", "a"]
    assert only["upos"] == ["VERB", "PRON", "ADP"]


UNIVERSAL = [("1-2", "vámonos", "_"), ("1", "vamos", "VERB"), ("2", "nos", "PRON"), ("3", "a", "ADP"), ("3.1", "x", "_")]


def test_lines_without_the_fields_of_the_others_are_bad_rows(tmp_path: Path) -> None:
    found = rows(tmp_path, "EU B-ORG\n\nPeter\n\nParis B-LOC x\nis O\n\nhere O\n")
    reasons = [row.reason.partition("a.conll:")[2] for row in found if isinstance(row, BadRow)]
    assert reasons == [
        "3: 1 field separated by blanks, but other lines have 2",
        "5: 3 fields separated by blanks, but other lines have 2",
    ]
    assert len(found) == 4


@pytest.mark.parametrize(
    ("lines", "tagged"),
    [
        (["EU B-ORG", "is O", "", "Bob B-PER"], True),
        (["EU NNP I-ORG", "-DOCSTART- O", "is VBZ O"], True),
        (["It rains", "It snows"], False),
        (["Hello", "O"], False),
        (["a B-X", "a longer text B-X"], False),
        ([""], False),
    ],
)
def test_lines_of_words_and_tags_are_recognized(lines: list[str], tagged: bool) -> None:
    assert looks_tagged(lines) == tagged


def test_files_without_words(tmp_path: Path) -> None:
    assert rows(tmp_path, "") == []
    assert rows(tmp_path, "\n-DOCSTART- -X- O\n\n") == []
