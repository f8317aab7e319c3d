from __future__ import annotations

import json
from dataclasses import asdict

from mtlkit.config.plain import build
from mtlkit.config.source_record import SourceRecord


def test_a_record_survives_json() -> None:
    record = SourceRecord("d", {"train": ("train-0.csv", "train-1.csv")}, "csv", "utf-8", ";", quoting=True, header=False)
    assert build(SourceRecord, json.loads(json.dumps(asdict(record)))) == record
