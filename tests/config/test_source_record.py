"""How a source was read, as JSON and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mtlkit.config.source_record import SourceRecord, records_from_json, records_to_json


def test_records_survive_json_and_hold_only_what_was_decided() -> None:
    records = {
        "topic": SourceRecord("a.csv", text=("title", "body"), label=("label",), unused=("id",), kind="classification"),
        "dialect": SourceRecord("d", {"train": ("train-0.csv", "train-1.csv")}, "csv", "utf-8", ";", quoting=False, header=False),
        "pairs": SourceRecord("b", first="anchor", second="positive", files={"train": ("train.csv",)}),
    }
    value = json.loads(json.dumps(records_to_json(records)))
    assert records_from_json(value) == records
    assert value["pairs"] == {"source": "b", "first": "anchor", "second": "positive", "files": {"train": ["train.csv"]}}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "JSON object, not an array"),
        ({"a": {"text": ["x"]}}, "'source' is missing"),
        ({"a": {"source": "x", "text": "x"}}, "'text': expected an array, not \"x\""),
        ({"a": {"source": "x", "kind": "colour"}}, "'kind': expected one of .* not \"colour\""),
        ({"a": {"source": "x", "files": {"train": [1]}}}, "'files.train': .* not 1"),
        ({"a": {"source": "x", "colour": ""}}, "unknown field 'colour'"),
    ],
)
def test_an_invalid_record_is_refused_with_its_field(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        records_from_json(value)
