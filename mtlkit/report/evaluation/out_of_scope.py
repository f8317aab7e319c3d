"""How well texts that fit no class are recognized, as text. Nothing here prints."""

from __future__ import annotations

from rich.text import Text

from mtlkit.evaluation.out_of_scope import Separation
from mtlkit.report.tables import number
from mtlkit.report.text import literal


def separation_line(task: str, separation: Separation) -> Text:
    """The figures of a task with their intervals."""
    low, high = separation.auroc_interval.ends
    share, ends = separation.rejected, separation.rejected_interval.ends
    auroc = f"AUROC {number(separation.auroc)} (95 %: {number(low)} to {number(high)})"
    rejected = (
        f"{share:.1%} rejected ({ends[0]:.1%} to {ends[1]:.1%}) where 95 % of {separation.fitting:,} fitting texts are kept"
    )
    return literal(f"{task} out of scope: {auroc} on {separation.foreign:,} texts, {rejected}")
