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
        ([], "list where an object belongs"),
        ({"a": {"text": ["x"]}}, "'source' is missing"),
        ({"a": {"source": "x", "text": "x"}}, "'text' cannot be x"),
        ({"a": {"source": "x", "kind": "colour"}}, "'kind' cannot be colour"),
        ({"a": {"source": "x", "files": {"train": [1]}}}, "'files.train' cannot be 1"),
        ({"a": {"source": "x", "colour": ""}}, "unknown field 'colour'"),
    ],
)
def test_what_is_no_record_is_named(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        records_from_json(value)
