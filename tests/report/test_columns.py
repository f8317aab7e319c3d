from __future__ import annotations

from mtlkit.report.columns import distinct
from mtlkit.report.text import literal


def test_names_that_begin_alike_are_cut_in_the_middle() -> None:
    names = [f"card_payment_fee_charged_{number}" for number in (1, 2)]
    cells = distinct([literal(name) for name in (*names, "pin")], 12)
    assert [cell.plain for cell in cells] == ["card_p…ged_1", "card_p…ged_2", "pin"]
    unlike = [literal(name) for name in ("automatic_top_up", "balance_not_updated")]
    assert distinct(unlike, 12) == unlike  # left to the table, which cuts at the end
