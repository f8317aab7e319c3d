"""A source with several label columns makes a task of each."""

from __future__ import annotations

import pytest

from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.data.sources.grammar.task_names import named_sources, parse_tasks, table_of
from mtlkit.errors import UsageError


def test_every_column_is_a_task_with_a_source_that_chooses_it() -> None:
    table = "r.csv?text=body&labels=topic:subject,mood,stars&kind.stars=regression"
    sources = named_sources([table, "other=o.csv"])
    assert sources == {
        "subject": f"{table}&label=topic",
        "mood": f"{table}&label=mood",
        "stars": f"{table}&label=stars",
        "other": "o.csv",
    }
    assert {name: parse_source(source)[1].kind for name, source in sources.items()} == {
        "subject": None,
        "mood": None,
        "stars": "regression",
        "other": None,
    }
    tables = [table_of(name, source) for name, source in sources.items()]
    assert tables[0] == tables[1] == tables[2] != tables[3] == "other"


def test_keys_hold_for_all_columns_but_those_with_their_own() -> None:
    query = parse_source("r.csv:labels=a,b,kind=classification,sep.b=|,kind.b=multi-label,label=b")[1]
    assert (query.kind, query.sep, query.label) == ("multi-label", "|", "b")
    assert [column.keys for column in query.labels] == [
        {"kind": "classification"},
        {"kind": "multi-label", "sep": "|"},
    ]


def test_a_source_that_chooses_a_column_makes_one_task() -> None:
    chosen = "r.csv:labels=a,b,label=b"
    assert parse_tasks(chosen) == [("b", chosen)]
    assert parse_tasks(f"name={chosen}") == [("name", chosen)]
    (_, (name, source)) = parse_tasks("r.csv?labels=a,My 50%:b")
    assert (name, parse_source(source)[1].label) == ("b", "My 50%")


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["r.csv?labels=a,b,a"], "column 'a' is given twice"),
        (["r.csv?labels=a:b,b"], "task 'b' is given twice"),
        (["r.csv?labels=a,,b"], "has an empty name"),
        (["r.csv?labels=a:"], "has an empty name"),
        (["r.csv?labels=a,b&kind.c=regression"], "'c' is not one of its label columns; labels: a, b"),
        (["r.csv?labels=stars,b&kind.star=regression"], r"did you mean 'stars'\?"),
        (["r.csv?labels=a&kind.a=number"], "'kind.a' .* 'number'; choose one of"),
        (["x=r.csv?kind.a=regression"], "is for one of several label columns; add labels=a"),
        (["r.csv?labels=a&limit.a=3"], "unknown key 'limit.a'"),
        (["x=r.csv?labels=a,b"], "omit 'x=', or rename one: labels=a:x,..."),
        (["r.csv?labels=a,b&label=c"], "label=c .* is not one of labels=a,b"),
        (["r.csv?labels=Rating"], "give column 'Rating' a name: labels=Rating:NAME"),
        (["r.csv?labels=a", "a=s.csv"], "task 'a' is repeated"),
        (["a=s.csv", "r.csv?labels=b:a"], "task 'a' is repeated; rename the column"),
    ],
)
def test_wrong_columns_are_usage_errors(tasks: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        named_sources(tasks)
