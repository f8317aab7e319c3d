from __future__ import annotations

from dataclasses import dataclass, fields

from mtlkit.config.option import Declaration, option


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
