from __future__ import annotations

import pytest

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.mix import names_of, parse_mix
from mtlkit.errors import UsageError


def test_sources_have_short_names_unless_two_have_the_same() -> None:
    sources = ["sample:topic", "data/imdb/", "books.txt.gz?encoding=latin-1", "stanfordnlp/sst2"]
    assert names_of(sources) == ["topic", "imdb", "books", "sst2"]
    assert names_of(["a/train.txt", "b/train.txt", "c/other.txt"]) == ["a/train.txt", "b/train.txt", "other"]


def test_shares_are_in_the_order_of_the_sources() -> None:
    assert parse_mix("b=0.3, a=0.6", ["x/a.txt", "b.txt"]) == [0.6, 0.3]
    assert parse_mix("a/t.txt=1,b/t.txt=2", ["a/t.txt", "b/t.txt"]) == [1.0, 2.0]
    assert parse_mix("t.txt?text=a=3", ["t.txt?text=a"]) == [3.0]  # a source may hold an equals sign
    assert PretrainOptions(sources=["a.txt"]).shares is None


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("wiki=0.6", "no share for imdb; give one for each source"),
        ("wikki=0.6,imdb=1", "no source is named 'wikki'; sources: wiki, imdb; did you mean 'wiki'"),
        ("wiki=0.6,wiki=1,imdb=1", "wiki has two shares"),
        ("wiki,imdb=1", "'wiki' is not NAME=SHARE with a number above 0, such as wiki=0.6"),
        ("wiki=0,imdb=1", "'wiki=0' is not NAME=SHARE"),
        ("wiki=nan,imdb=1", "'wiki=nan' is not NAME=SHARE"),
        ("", "'' is not NAME=SHARE"),
    ],
)
def test_mistakes_are_explained(mix: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_mix(mix, ["data/wiki", "imdb.csv"])


def test_a_source_cannot_be_given_twice() -> None:
    with pytest.raises(UsageError, match="given twice"):
        parse_mix("a=1", ["a", "a"])
