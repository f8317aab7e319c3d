"""Data sets as the library `datasets` writes and loads them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hub_server import mute

from mtlkit.data.datasets.labelled import read_split
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources import FolderSource, HubSource, open_source
from mtlkit.data.sources.grammar.spec import Query
from mtlkit.data.sources.hub import PROXIES, _hub_answers, hub_answers, is_network_fault
from mtlkit.data.sources.readers import read
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import DataError, NetworkError

datasets = pytest.importorskip("datasets")
huggingface_hub = pytest.importorskip("huggingface_hub")

Cli = Callable[..., Any]
CLOSED = "http://127.0.0.1:9"  # the discard port: refused at once
ROWS = {"text": ["good", "bad", "unknown", "none"], "label": [1, 0, -1, None]}
NAMED = [("good", "pos"), ("bad", "neg"), ("unknown", None), ("none", None)]


@pytest.fixture(autouse=True)
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", CLOSED)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    _hub_answers.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set as `datasets` writes it: parquet with the names of the classes in the schema."""
    place = tmp_path / "reviews"
    place.mkdir()
    kinds = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    datasets.disable_progress_bars()
    for split in ("train", "test"):
        datasets.Dataset.from_dict(ROWS, features=kinds).to_parquet(str(place / f"{split}.parquet"))
    return place


def pairs(rows: Any) -> list[tuple[Any, Any]]:
    return [(row["text"], row["label"]) for row in rows]


def test_parquet_reader_gives_the_label_names_of_the_schema(folder: Path) -> None:
    assert pairs(read(folder / "train.parquet")) == NAMED


def test_hub_source_gives_the_same_rows(folder: Path) -> None:
    source = HubSource(str(folder), None)
    assert sorted(source.splits()) == ["test", "train"]
    assert pairs(source.rows("train", "utf-8")) == NAMED


def test_rows_without_a_label_never_get_one(folder: Path) -> None:  # fault 20
    for source in (HubSource(str(folder), None), open_source(str(folder), Query())):
        tally = SkippedRows()
        table = read_split(source, Query(), "train", ReadOptions("utf-8", "skip", tally))
        assert (table.texts, table.labels) == (["good", "bad"], ["pos", "neg"])
        assert tally.skipped == 2
        place = f"{folder / 'train.parquet'}:3" if isinstance(source, FolderSource) else f"{folder}: row 3"
        assert tally.reasons[0] == f"{place}: no label in column 'label'"


def test_lists_of_classes_get_their_names_too(tmp_path: Path) -> None:
    several = datasets.Sequence(datasets.ClassLabel(names=["joy", "fear", "anger"]))
    kinds = datasets.Features({"text": datasets.Value("string"), "label": several})
    place = tmp_path / "emotions"
    place.mkdir()
    datasets.Dataset.from_dict({"text": ["a", "b"], "label": [[2, 0], []]}, features=kinds).to_parquet(
        str(place / "train.parquet")
    )
    expected = [("a", ["anger", "joy"]), ("b", [])]
    assert pairs(read(place / "train.parquet")) == expected
    assert pairs(HubSource(str(place), None).rows("train", "utf-8")) == expected


def test_unknown_split_and_configuration_are_data_errors(folder: Path) -> None:
    with pytest.raises(DataError, match=r"Unknown split \"dev\". Should be one of"):
        list(HubSource(str(folder), None).rows("dev", "utf-8"))
    with pytest.raises(DataError, match="BuilderConfig 'german' not found"):
        HubSource(str(folder), "german").splits()


@pytest.mark.parametrize(
    "server", [pytest.param(lambda: nullcontext(CLOSED), id="refused", marks=pytest.mark.slow), pytest.param(mute, id="mute")]
)
def test_hub_id_without_network_fails_with_advice(  # fault 34
    tmp_path: Path, forked: Cli, server: Callable[[], AbstractContextManager[str]]
) -> None:
    more = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": ""}
    with server() as address:
        result = forked("pretrain", "nobody/nothing", "--runs", tmp_path, HF_ENDPOINT=address, **more)
    assert result.returncode == 6
    assert result.stdout == ""
    last = result.stderr.splitlines()[-1]  # after the lines that show progress
    assert last.startswith("mtlkit: nobody/nothing: the hub cannot be reached")
    assert last.endswith("give a local file")


def test_a_server_that_never_answers_is_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:  # fault 34
    with mute() as address:  # the hub's own library would try it for minutes
        monkeypatch.setenv("HF_ENDPOINT", address)
        for proxy in PROXIES:
            monkeypatch.delenv(proxy, raising=False)
        assert not hub_answers()


class NoAnswerError(Exception):
    __module__ = "httpx.errors"


class AnswerError(Exception):
    __module__ = "requests.exceptions"

    def __init__(self, status: int) -> None:
        self.response = SimpleNamespace(status_code=status)


def test_errors_of_the_network_are_known_by_where_they_come_from() -> None:
    for error, is_one in [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (NoAnswerError(), True),
        (AnswerError(404), False),
        (AnswerError(503), True),
        (ValueError("bad"), False),
        (OSError(28, "full"), False),
        (None, False),
    ]:
        assert is_network_fault(error) is is_one
    outer = FileNotFoundError("not in the cache")
    outer.__cause__ = NoAnswerError()
    assert is_network_fault(outer)
    outer.__cause__ = outer
    assert not is_network_fault(outer)


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_no_connection_is_attempted(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:  # fault 51
    attempts: list[Any] = []
    monkeypatch.setattr("socket.socket.connect", lambda *arguments: attempts.append(arguments))
    monkeypatch.setattr("socket.getaddrinfo", lambda *arguments, **_options: attempts.append(arguments))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    for module in (huggingface_hub.constants, datasets.config):  # as if both had been imported before
        monkeypatch.setattr(module, "HF_HUB_OFFLINE", False)
    assert not hub_answers()
    with pytest.raises(NetworkError, match=f"{variable} is set; unset it, or give a local file"):
        open_source("ag_news", Query()).splits()
    assert attempts == []
    assert not huggingface_hub.constants.HF_HUB_OFFLINE  # another call of the same process may ask the hub
