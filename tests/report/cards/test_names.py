"""What a card shows of paths, sources and commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.report.cards.names import public_command, public_path, public_source, public_value, public_word

CACHE = "/home/alice/.cache/huggingface/hub/models--someone--tiny-bert/snapshots/0123"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("runs/mtl", "runs/mtl"),
        ("/home/alice/runs/mtl", "mtl"),
        ("/home/alice/runs/mtl/", "mtl"),
        ("../alice/rows.csv", "rows.csv"),
        ("data/../../alice/rows.csv", "rows.csv"),
        ("~/rows.csv", "rows.csv"),
        ("~alice/rows.csv", "rows.csv"),
        ("~alice", "."),
        (r"C:\Users\alice\rows.csv", "rows.csv"),
        (r"\\server\alice\rows.csv", "rows.csv"),
        ("file:///home/alice/rows.csv", "rows.csv"),
        ("s3://key:secret@bucket/rows.csv?signature=1", "s3://bucket/rows.csv"),
        (CACHE, "someone/tiny-bert"),
        ("someone/tiny-bert", "someone/tiny-bert"),
        ("/", "."),
    ],
)
def test_a_path_names_no_folder_of_this_machine(path: str, shown: str) -> None:
    assert public_path(path) == shown


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/home/alice/rows.csv?text=body&label=a", "rows.csv?text=body&label=a"),
        ("/home/alice/rows.csv:label=stars,limit=100", "rows.csv:label=stars,limit=100"),
        ("/home/alice/data/*.csv", "*.csv"),
        ("sample:topic", "sample:topic"),
        ("fancyzhx/ag_news?limit=5", "fancyzhx/ag_news?limit=5"),
    ],
)
def test_a_source_keeps_its_keys(source: str, shown: str) -> None:
    assert public_source(source) == shown
    assert public_word(f"topic={source}") == f"topic={shown}"


def test_a_command_can_still_be_typed() -> None:
    command = f"mtlkit train-mtl --task 'a=/home/al ice/my rows.csv?text=t' --init {CACHE} --freeze 're:^x' --out ../alice/run"
    shown = "mtlkit train-mtl --task 'a=my rows.csv?text=t' --init someone/tiny-bert --freeze 're:^x' --out run"
    assert public_command(command) == shown
    assert public_command("mtlkit 'unfinished") == ""


def test_every_text_of_a_record_is_shown_without_folders(tmp_path: Path) -> None:
    record = {"out": str(tmp_path), "task": [f"a={tmp_path / 'rows.csv'}"], "rows": 3, "data": {"a": {"source": "~/x.csv"}}}
    assert public_value(record) == {"out": tmp_path.name, "task": ["a=rows.csv"], "rows": 3, "data": {"a": {"source": "x.csv"}}}
