"""Arrays of objects, objects a line, and documents that are neither."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtlkit.data.formats import json_rows
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.rows import BadRow
from mtlkit.errors import DataError

ROWS = [{"text": "a é]", "label": [1, 2]}, {"text": 'b "},', "meta": {"n": 1.5}}, {"text": "c" * 500}]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("chunk", [3, 64, 1 << 18])
def test_an_array_is_read_as_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, chunk: int) -> None:
    monkeypatch.setattr(json_rows, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text("\ufeff \n" + json.dumps(ROWS, indent=indent) + "\n", encoding="utf-8")
    rows = list(read(path))
    assert rows == ROWS
    assert [row.place for row in rows] == [f"{path}:{number}" for number in (1, 2, 3)]  # type: ignore[union-attr]


@pytest.mark.parametrize("content", ["", "[]", "[ ]\n"])
def test_an_empty_document_has_no_rows(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert list(read(tmp_path / "a.json")) == []


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson", "a.jsonlines"])
def test_lines_are_read_regardless_of_the_suffix(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n".join(map(json.dumps, ROWS)))
    assert list(read(tmp_path / name)) == ROWS


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"data": [{"text": "a"}]}', "an array of objects.* not a JSON object with the keys data"),
        ('{"text": {"0": "a"}, "label": {"0": 1}}', "keys text, label"),
        ('{\n "version": 1,\n "data": []\n}', "keys version, data"),
        ("text,label\n", "expected an array of objects"),
        ('[{"text": "a"}, {"te', "a.json:2: invalid or truncated JSON"),
        ('[{"text": "a"} {"text": nonsense}]', "a.json:2: invalid"),
        ('[{"text": "a"}', "a.json:1: truncated"),
    ],
)
def test_another_document_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=said) as error:
        list(read(tmp_path / "a.json"))
    assert "\n" not in str(error.value)


def test_elements_that_are_no_objects_are_bad_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[1, {"text": "a"}, null, {"text": "\\ud83d"}]')
    bad = [row.reason for row in read(path) if isinstance(row, BadRow)]
    assert [reason.partition(": ")[0] for reason in bad] == [f"{path}:{number}" for number in (1, 3, 4)]
