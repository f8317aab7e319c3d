"""Nested fields of rows."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.data.sources.rows import BadRow, Row, SkippedRows, good_rows, with_nested
from mtlkit.errors import DataError

ROWS: list[dict[str, Any]] = [{"meta": {"label": "a", "inner": {"x": 1}}}, {"meta": {"inner": None}}, {"text": "b"}]


def nested(*names: str) -> list[Row | BadRow]:
    return list(with_nested([dict(row) for row in ROWS], names, "a.jsonl"))


def test_nested_fields_get_their_dotted_names() -> None:
    first, second, third = nested("meta.label+meta.inner.x")
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert (first["meta.label"], first["meta.inner.x"]) == ("a", 1)
    assert (second["meta.label"], second["meta.inner.x"]) == (None, None)
    assert third == {"text": "b"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("meta.labl", "field 'labl' not found in column 'meta' of a.jsonl; fields: label, inner; did you mean 'label'"),
        ("meta.inner.y", "field 'y' not found in column 'meta.inner' of a.jsonl; fields: x"),
        ("text+meta.iner.x", "field 'iner' not found in column 'meta' .*'inner'"),
    ],
)
def test_a_nested_field_that_is_missing_is_named_with_those_that_exist(name: str, message: str) -> None:  # fault 25
    with pytest.raises(DataError, match=message):
        nested(name)


def test_a_dotted_name_of_a_column_that_holds_no_objects_is_left_to_the_choice_of_columns() -> None:
    assert nested("text.x", "v1.0") == ROWS


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("a.csv:3: no text in column 'text'", "; fix it, or skip such rows with --on-bad-row skip"),
        ("a.jsonl:3: 2 words and 1 tag; give each word a tag", "give each word a tag, or skip such rows with --on-bad-row skip"),
        ("a.jsonl:3: no word at position 1; remove it, with its tag", "with its tag, or skip such rows with --on-bad-row skip"),
    ],
)
def test_the_error_about_a_bad_row_ends_in_one_sentence(reason: str, ending: str) -> None:
    with pytest.raises(DataError) as caught:
        list(good_rows([BadRow(reason)], "error", SkippedRows()))
    assert str(caught.value).startswith(reason)
    assert str(caught.value).endswith(ending)
