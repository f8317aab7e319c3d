from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import pytest

from mtlkit.config.architecture import parse_head
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.option import Declaration, finite, option, whole
from mtlkit.config.registries.schedules import parse_epoch_length, parse_schedule
from mtlkit.config.save_every import parse_save_every
from mtlkit.data.sources.grammar.spec import parse_source
from mtlkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Some:
    names: list[str] = option(["a"], "Names.", panel="Data", positional=True, metavar="NAME...")
    share: float = option(0.5, "A share.", minimum=0, maximum=1, short="-s", default_text="half")


def test_a_field_carries_its_declaration() -> None:
    names, share = (field.metadata["option"] for field in fields(Some))
    assert names == Declaration("Names.", "Data", positional=True, metavar="NAME...")
    assert share == Declaration("A share.", "Options", short="-s", minimum=0, maximum=1, default_text="half")


def test_a_list_that_is_a_default_is_not_shared() -> None:
    first, second = Some(), Some()
    first.names.append("b")
    assert (first.names, second.names, Some().names) == (["a", "b"], ["a"], ["a"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 18, int("9" * 18)),
        ("", None),
        ("-1", None),
        ("1.0", None),
        ("²", None),
        ("٣", None),
        (" 1", None),
    ],
)
def test_whole_numbers(text: str, value: int | None) -> None:
    assert whole(text) == value


def test_whole_numbers_below_the_least_or_of_too_many_digits_are_none() -> None:
    assert whole("4", least=5) is None
    assert whole("9" * 19) is None
    assert whole("9" * 5000) is None


def test_finite_numbers() -> None:
    assert finite("1e-3") == 0.001
    assert [finite(text) for text in ("nan", "inf", "-inf", "1e999", "", "one")] == [None] * 6


MANY = "9" * 5000


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_schedule, f"temperature:2:{MANY}"),
        (parse_epoch_length, f"steps:{MANY}"),
        (parse_head, f"mlp:{MANY}"),
        (parse_save_every, MANY),
        (parse_source, f"a.csv?limit={MANY}"),
        (lambda text: TrainMtlOptions(cap=text).cap_rows(), MANY),
        (lambda text: TrainSentenceOptions(matryoshka=text).widths(64), MANY),
    ],
)
def test_numbers_of_thousands_of_digits_are_refused_in_one_short_line(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)
