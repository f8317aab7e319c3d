"""The gradient measurements of an epoch, as tables and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10, sqrt

from rich.console import Group, RenderableType

from mtlkit.report.columns import narrow
from mtlkit.report.tables import number, titled
from mtlkit.report.text import printable
from mtlkit.training.diagnostics.gradient_stats import WHOLE, PairSummary, TaskConflict, TrackingSummary

BAR = 12
DECADES = 6  # that the length of a bar represents, on a logarithmic scale

# All blocks have the same shape, so their gradients should have similar norms, as in pre-norm transformers; in deep post-norm
# ones, they decrease towards the input (Xiong et al. 2020). The ratio of update to weight does not show this, as AdamW takes
# steps of the same size for small and large gradients.
VANISHING = 100.0  # times smaller (exploding: larger) than the gradient of the highest block that trains
LARGE_UPDATE = 0.1  # relative change of the weights of a part in one step; usual are 0.001
UNEQUAL = 10.0  # ratio of gradient norms; the smaller gradient then changes the direction of the sum by at most 6 degrees


def tracking_tables(summary: TrackingSummary, width: int) -> list[RenderableType]:
    """A table of the parts of the model and, if tasks share weights that train, a table of pairs of tasks. If `width` is too
    small, names are truncated, never numbers.
    """
    return [norm_table(summary, width), *([pair_table(summary.pairs, width)] if summary.pairs else [])]


def norm_table(summary: TrackingSummary, width: int) -> Group:
    """A row per part: gradient norm and update-to-weight ratio, with bars on a logarithmic scale."""
    figures = []
    for title, means in (("gradient", summary.norms), ("update/weight", summary.ratios)):
        values = list(means.values())
        figures += [[title, *map(scientific, values)], ["", *bars(values)]]
    table = narrow({"part": list(summary.norms)}, figures, width)
    for bar_column in (2, 4):
        table.columns[bar_column].justify = "left"
    steps = "1 tracked step" if summary.steps == 1 else f"{summary.steps:,} tracked steps"
    return titled(f"Gradients of {steps} ({percent(summary.cost, 1)} of the time went into tracking)", table)


def pair_table(pairs: Sequence[PairSummary], width: int) -> Group:
    """For each pair of tasks, a row for the whole backbone, then one for each part; with several pairs, only for the worst
    part.
    """
    rows: list[tuple[str, str, TaskConflict | None]] = []
    for pair in pairs:
        shown = list(pair.parts) if len(pairs) == 1 else [WHOLE, *([pair.worst] if pair.worst else [])]
        names = [", ".join(pair.tasks), *[""] * (len(shown) - 1)]
        rows += [(name, part, pair.parts[part]) for name, part in zip(names, shown, strict=True)]
    conflicts = [conflict for _, _, conflict in rows]
    figures = [
        ["cosine", *(number(conflict.cosine, 3) if conflict else "-" for conflict in conflicts)],
        ["conflict", *(percent(conflict.share) if conflict else "-" for conflict in conflicts)],
        ["", *("█" * round(BAR * conflict.share) if conflict else "" for conflict in conflicts)],
        ["magnitudes", *(number(conflict.magnitude_similarity, 2) if conflict else "-" for conflict in conflicts)],
    ]
    table = narrow({"tasks": [name for name, _, _ in rows], "part": [part for _, part, _ in rows]}, figures, width)
    table.columns[4].justify = "left"
    return titled("Task pairs: gradient cosine, steps with a negative cosine, magnitude similarity", table)


def bars(values: Sequence[float | None]) -> list[str]:
    """Bars on a logarithmic scale: full length for the largest value, two characters less for a tenth of it, but at least one."""
    most = max((value for value in values if value), default=1.0)
    cells = BAR / DECADES
    return ["█" * max(1, round(BAR + cells * log10(value / most))) if value else "" for value in values]


def scientific(value: float | None) -> str:
    """A number in scientific notation with two digits; a dash if it is undefined."""
    return "-" if value is None else f"{value:.1e}" if value else "0"


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def tracking_messages(summary: TrackingSummary) -> list[str]:
    """Warnings about the gradients of an epoch; empty if there are none."""
    messages = [*depth_words(summary), *update_words(summary)]
    for pair in summary.pairs:
        messages += pair_words(pair)
    return [printable(message) for message in messages]


def depth_words(summary: TrackingSummary) -> list[str]:
    """Warnings about gradients that vanish or explode towards the lower blocks."""
    norms = {int(part[7:]): norm for part, norm in summary.norms.items() if part.startswith("layers:") and norm is not None}
    top = max(norms, default=0)
    if not norms.get(top):  # no block trains, or the highest has no gradient to compare with
        return []
    ratios = {block: norm / norms[top] for block, norm in norms.items()}
    messages = []
    for word, blocks in (
        ("vanishing", [block for block, ratio in ratios.items() if ratio * VANISHING < 1]),
        ("exploding", [block for block, ratio in ratios.items() if ratio > VANISHING]),
    ):
        if blocks:
            low = min(blocks)
            comparison = f"the gradient of block {low} is {times(ratios[low])} that of block {top}"
            messages.append(f"{word} below block {max(blocks) + 1}: {comparison}")
    return messages


def update_words(summary: TrackingSummary) -> list[str]:
    """A warning about steps that are too large for the weights, for the part where they are largest. Heads are excluded, as
    new ones start near zero and need large steps.
    """
    ratios = {part: ratio for part, ratio in summary.ratios.items() if ratio is not None and not part.startswith("head:")}
    if not ratios or max(ratios.values()) < LARGE_UPDATE:
        return []
    part = max(ratios, key=ratios.__getitem__)
    return [f"exploding: a step changes {spoken(part)} by {percent(ratios[part])} of the weights' norm"]


def pair_words(pair: PairSummary) -> list[str]:
    """Warnings about tasks that conflict more often than by chance, and about gradients with very different norms."""
    (first, second), whole = pair.tasks, pair.whole
    if whole is None:
        return []
    messages = []
    if whole.share > 0.5 + 1 / sqrt(whole.steps):  # two standard errors above one half, the expected share of unrelated tasks
        most = f", most in {spoken(pair.worst)}" if pair.worst else ""
        messages.append(f"{first} and {second} conflict in {percent(whole.share)} of steps{most}")
    if whole.ratio >= UNEQUAL:
        messages.append(f"{first}'s gradient is {times(whole.ratio)} {second}'s")
    elif whole.ratio * UNEQUAL <= 1:
        messages.append(f"{second}'s gradient is {times(1 / whole.ratio)} {first}'s")
    return messages


def spoken(part: str) -> str:
    """The name of a part in a sentence: `layers:3` is block 3."""
    return f"block {part[7:]}" if part.startswith("layers:") else "the embeddings" if part == "embeddings" else part


def times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= UNEQUAL else f"{ratio:.1e} times" if ratio else "0 times"
