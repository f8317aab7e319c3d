"""The columns of pairs with a label."""

from __future__ import annotations

import pytest

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.sources.grammar.spec import Query, parse_source
from mtlkit.data.sources.pair_columns import is_labelled_pair, labelled_pair_columns, pair_head_of
from mtlkit.errors import DataError, UsageError

COLUMNS = ["id", "premise", "hypothesis", "title", "label"]
RECORD = SourceRecord("", first="premise", second="hypothesis")


def chosen(pair: str, columns: list[str] = COLUMNS) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return labelled_pair_columns(columns, Query(pair=pair), "train.csv", None)


def test_two_columns_may_be_named_joined_or_have_commas() -> None:
    assert chosen("premise,hypothesis") == (("premise",), ("hypothesis",))
    assert chosen("title+premise,hypothesis") == (("title", "premise"), ("hypothesis",))
    assert chosen("a,b,c", ["a,b", "c"]) == (("a,b",), ("c",))
    assert labelled_pair_columns(COLUMNS, Query(first="title", second="premise"), "x", None) == (("title",), ("premise",))


def test_the_columns_of_the_model_are_the_default() -> None:
    assert labelled_pair_columns(COLUMNS, Query(), "x", RECORD) == (("premise",), ("hypothesis",))
    with pytest.raises(DataError, match=r"'hypothesis' not found in x.*reads its pairs from .*pair=FIRST,SECOND"):
        labelled_pair_columns(["premise", "label"], Query(), "x", RECORD)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("premis,hypothesis", r"'premis' not found in train.csv; columns: .*did you mean 'premise'"),
        ("premise,premise", r"'premise' is named for both texts"),
        ("premise,hypothesis,title", r"names 3 columns, and a pair has two"),
    ],
)
def test_wrong_columns_are_named(pair: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        chosen(pair)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a.csv?pair=premise", "names one column, and a pair has two"),
        ("a.csv?pair=a,b&text=c", "pair= and text="),
        ("a.csv?pair-head=vectors", "add pair=FIRST,SECOND"),
        ("a.csv?pair=a,b&pair-head=vector", "not one of .*did you mean 'vectors'"),
        ("a.csv?pair=a,b&labels=c,d", "pairs of texts have one label column each"),
        ("a.csv?pairs=a,b", "unknown key 'pairs'.*did you mean 'pair'"),
    ],
)
def test_wrong_keys_are_refused(source: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_source(source)


@pytest.mark.parametrize("source", ["a.csv?pair=a,b&pair-head=vectors", "a.csv:pair=a,b,pair-head=vectors"])
def test_both_forms_of_keys_work(source: str) -> None:
    address, query = parse_source(source)
    assert (address, query.pair, pair_head_of(query)) == ("a.csv", "a,b", "vectors")


def test_rows_are_pairs_if_the_source_or_else_the_model_says_so() -> None:
    assert is_labelled_pair(Query(pair="a,b"), None)
    assert is_labelled_pair(Query(), RECORD)
    assert not is_labelled_pair(Query(text="title"), RECORD)
    assert pair_head_of(Query()) is None
