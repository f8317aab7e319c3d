"""How sources and tasks are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.grammar.task_names import parse_task
from mtlkit.errors import UsageError
from mtlkit.recipes.train_mtl import train_mtl


def test_query_is_parted_from_the_address() -> None:
    address, query = parse_source("data/a.csv?text=title+body&label=stars&limit=100&split=dev&encoding=latin-1&kind=regression")
    assert address == "data/a.csv"
    assert query == Query(text="title+body", label="stars", split="dev", limit=100, encoding="latin-1", kind="regression")
    pair = parse_source("a.csv?first=question&second=reply")[1]
    assert pair == Query(first="question", second="reply")
    assert parse_source("ag_news") == ("ag_news", Query())


def test_an_order_makes_labels_ordinal() -> None:
    assert parse_source("a.csv:order=low,mid,high,limit=5")[1] == Query(order=("low", "mid", "high"), limit=5, kind="ordinal")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("order=a,b,a", "repeats 'a'"),
        ("order=a,,b", "empty name"),
        ("order=a", "single label"),
        ("order=a,b&kind=regression", "kind=ordinal, not regression"),
    ],
)
def test_an_order_that_is_none_is_refused(keys: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_source(f"a.csv?{keys}")


def test_keys_need_no_quoting_in_a_shell() -> None:
    address, query = parse_source("reviews.csv:label=stars,text=title+body,limit=100,delimiter=semicolon,header=no,quoting=yes")
    assert address == "reviews.csv"
    assert query == Query(text="title+body", label="stars", limit=100, delimiter=";", header=False, quoting=True)
    assert parse_source("a.csv:text=a,b c,label=x=y%2C")[1] == Query(text="a,b c", label="x=y,")
    assert parse_source("a.csv:delimiter=,")[1].delimiter == parse_source("a.csv?delimiter=%2C")[1].delimiter == ","
    assert parse_source("a.csv?delimiter=tab")[1].delimiter == parse_source("a.csv:delimiter=\\t")[1].delimiter == "\t"


@pytest.mark.parametrize(
    "address",
    [
        "sample:topic",
        r"C:\data\train.csv",
        "C:/data/train.csv",
        "hf://datasets/user/name/train.parquet",
        "s3://bucket/key=1/train.csv",
        "https://host:8080/train.csv?token=a&version=2",
        "ag_news",
        "-",
        "data/[ab]*.csv",
    ],
)
def test_other_colons_and_question_marks_belong_to_the_address(address: str) -> None:
    assert parse_source(address) == (address, Query())
    assert parse_source(f"{address}:label=x,limit=3") == (address, Query(label="x", limit=3))
    assert parse_source(f"{address}?label=x&limit=3") == (address, Query(label="x", limit=3))


@pytest.mark.parametrize("name", ["what?.csv", "what?text=x.csv", "a:text=b.csv", "a:b?c", "?"])
def test_a_file_that_exists_is_an_address_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert parse_source(str(path)) == (str(path), Query())
    assert parse_source(f"{path}:label=x") == (str(path), Query(label="x"))
    assert parse_source(f"{path}?label=x&limit=3") == (str(path), Query(label="x", limit=3))
    assert parse_task(f"topic={path}:label=x") == ("topic", f"{path}:label=x")


def test_query_values_may_be_percent_encoded() -> None:
    assert parse_source("a.csv?text=full%20text%26more")[1].text == "full text&more"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a.csv?txet=body", r"unknown key 'txet' in 'a.csv\?txet=body'; keys: text, label, .*; did you mean 'text'\?"),
        ("a.csv?limit=0", "limit='0' .* is not a positive number of rows"),
        ("a.csv?limit=many", "limit='many' .* is not a positive number of rows"),
        ("a.csv?limit=²", "limit='²' .* is not a positive number of rows"),
        ("a.csv:labl=x", r"unknown key 'labl' in 'a.csv:labl=x'; keys: .*; did you mean 'label'\?"),
        ("a.csv:header=none", "header='none' .* is not one of yes, no"),
        ("a.csv:delimiter=;;", "delimiter=';;' .* is invalid; use a single character"),
        ("a.csv:delimiter=", "delimiter='' .* is invalid; use a single character"),
        ("a.csv?kind=class", "'kind' .* 'class'; choose one of classification, multi-label, ordinal, regression"),
    ],
)
def test_wrong_query_is_a_usage_error(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_source(source)


def test_task_is_a_name_and_a_source() -> None:
    assert parse_task("topic=sample:topic?limit=5") == ("topic", "sample:topic?limit=5")
    assert parse_task("my-task_2=data/a=b.csv") == ("my-task_2", "data/a=b.csv")


@pytest.mark.parametrize("text", ["sample:topic", "a.csv?label=x", "a.csv:label=x", "=a.csv", "topic="])
def test_task_without_name_or_source_is_refused_with_the_syntax(text: str) -> None:
    with pytest.raises(UsageError, match=r"NAME=SOURCE|invalid task name"):
        parse_task(text)


@pytest.mark.parametrize(
    "name", ["../../x", "..", ".", "/etc/passwd", "a/b", "a\\b", "Topic", "a b", "é", "a\n", "[/]", "x" * 65]
)
def test_task_name_never_becomes_a_path(name: str) -> None:  # fault 31
    with pytest.raises(UsageError, match=r"invalid task name .*lower-case letters, digits, '-' and '_'"):
        parse_task(f"{name}=sample:topic")


def test_task_called_like_a_path_ends_a_command_before_anything_is_written(  # fault 31
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "one" / "two"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    with pytest.raises(UsageError, match=r"invalid task name '../../x'") as caught:
        train_mtl(TrainMtlOptions(task=["../../x=sample:topic"], init="scratch"))
    assert caught.value.exit_code == 2
    assert [path for path in tmp_path.rglob("*") if path not in (tmp_path / "one", below, below / "runs")] == []
