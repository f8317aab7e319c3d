"""W&B's offline files, read by W&B."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tracked_training import Training

pytest.importorskip("wandb")
BLOCK, FULL, LAST = 32768, 1, 4
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def without_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def chunks(content: bytes) -> Iterator[bytes]:
    """The records of LevelDB's log format, in blocks of 32 KiB, after a header of the file."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        if (left := BLOCK - place % BLOCK) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (FULL, LAST):
            yield parts
            parts = b""


def records(file: Path) -> Iterator[Any]:
    """The records of an offline file, by W&B's own definition of them."""
    from wandb.proto import wandb_internal_pb2

    for chunk in chunks(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(chunk)
        yield record


def history(record: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}


def test_a_resumed_training_is_one_run_with_every_step_once(tmp_path: Path) -> None:
    training = Training(tmp_path, "wandb")
    training.stopped_and_resumed()
    assert not training.warnings
    assert "wandb sync" in training.notes[0].text
    files = sorted(training.folder.glob("wandb/offline-run-*/*.wandb"))
    found = [record for file in files for record in records(file)]
    runs = [record.run for record in found if record.HasField("run")]
    assert len({run.run_id for run in runs}) == 1
    assert {(run.display_name, run.project) for run in runs} == {("mtl", "mtlkit")}
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert (config["epochs"], config["task"]) == (3, "topic=a.csv, <b>")
    points = [history(record) for record in found if record.HasField("history")]
    losses = [(point["step"], point["loss/topic"]) for point in points if "loss/topic" in point]
    assert losses == [(step, 1 / step) for step in range(1, 7)]
    summary = [item for record in found if record.HasField("summary") for item in record.summary.update]
    assert any("final/score" in (item.key, "/".join(item.nested_key)) for item in summary)
    assert [record.exit.exit_code for record in found if record.HasField("exit")] == [1, 0]


def test_no_network_neither_hangs_nor_stops_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Online, with a key and a server that does not answer."""
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MTLKIT_TRACK_WAIT", "2")
    training = Training(tmp_path, "wandb")
    with training.start() as trackers:
        training.write(1, 2)
        training.finish(trackers)
    assert "records were not sent" in training.warnings[-1]
