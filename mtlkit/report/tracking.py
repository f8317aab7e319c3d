"""What gradient tracking found in an epoch, as tables and in words. Nothing here prints."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10, sqrt

from rich.console import Group, RenderableType

from mtlkit.report.columns import narrow
from mtlkit.report.tables import number, titled
from mtlkit.report.text import printable
from mtlkit.training.diagnostics.gradient_stats import WHOLE, PairSummary, TaskConflict, TrackingSummary

BAR = 12
DECADES = 6  # below the longest, that a bar on a logarithmic scale shows: two letters each

# Blocks are of one shape, so their gradients should be of like length, as they are in pre-norm transformers; in deep post-norm
# ones they fall off towards the input (Xiong et al. 2020). AdamW hides it, as its steps are as long for small gradients as for
# large ones: the ratio of update to weight says nothing of it.
VANISHING = 100.0  # times smaller, or for exploding larger, than the gradient of the highest block that trains
LARGE_UPDATE = 0.1  # of the weights of a part in one step; 0.001 is usual, and here all would be new after ten steps
UNEQUAL = 10.0  # times longer: a magnitude similarity of 0.2; added up, the shorter gradient turns the sum by 6 degrees at most


def tracking_tables(summary: TrackingSummary, width: int) -> list[RenderableType]:
    """A row a part; then, where there are several tasks and something to share, a row a pair and part.
    Where `width` is too little, names are cut, never a figure."""
    return [norm_table(summary, width), *([pair_table(summary.pairs, width)] if summary.pairs else [])]


def norm_table(summary: TrackingSummary, width: int) -> Group:
    """A row a part: gradient norm and update-to-weight ratio, with bars on a logarithmic scale."""
    figures = []
    for title, means in (("gradient", summary.norms), ("update/weight", summary.ratios)):
        values = list(means.values())
        figures += [[title, *map(scientific, values)], ["", *bars(values)]]
    table = narrow({"part": list(summary.norms)}, figures, width)
    for place in (2, 4):
        table.columns[place].justify = "left"
    steps = "1 tracked step" if summary.steps == 1 else f"{summary.steps:,} tracked steps"
    return titled(f"Gradients of {steps} ({percent(summary.cost, 1)} of the time went into tracking)", table)


def pair_table(pairs: Sequence[PairSummary], width: int) -> Group:
    """A row for the whole backbone, then one for each of its parts; where there are several pairs, for the worst part alone."""
    rows: list[tuple[str, str, TaskConflict | None]] = []
    for pair in pairs:
        shown = list(pair.parts) if len(pairs) == 1 else [WHOLE, *([pair.worst] if pair.worst else [])]
        names = [", ".join(pair.tasks), *[""] * (len(shown) - 1)]
        rows += [(name, part, pair.parts[part]) for name, part in zip(names, shown, strict=True)]
    found = [one for _, _, one in rows]
    figures = [
        ["cosine", *(number(one.cosine, 3) if one else "-" for one in found)],
        ["conflict", *(percent(one.share) if one else "-" for one in found)],
        ["", *("█" * round(BAR * one.share) if one else "" for one in found)],
        ["magnitudes", *(number(one.magnitude_similarity, 2) if one else "-" for one in found)],
    ]
    table = narrow({"tasks": [name for name, _, _ in rows], "part": [part for _, part, _ in rows]}, figures, width)
    table.columns[4].justify = "left"
    return titled("Pairs of tasks: cosine of gradients, steps below 0, similarity of magnitudes", table)


def bars(values: Sequence[float | None]) -> list[str]:
    """Bars on a logarithmic scale: the full length for the largest value, two letters less for each tenth; one at least."""
    most = max((value for value in values if value), default=1.0)
    cells = BAR / DECADES
    return ["█" * max(1, round(BAR + cells * log10(value / most))) if value else "" for value in values]


def scientific(value: float | None) -> str:
    """Two digits, whatever the size."""
    return "-" if value is None else f"{value:.1e}" if value else "0"


def percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def tracking_messages(summary: TrackingSummary) -> list[str]:
    """What is wrong with the gradients of an epoch; empty where nothing is."""
    found = [*depth_words(summary), *update_words(summary)]
    for pair in summary.pairs:
        found += pair_words(pair)
    return [printable(sentence) for sentence in found]


def depth_words(summary: TrackingSummary) -> list[str]:
    """Gradients that shrink, or grow, on their way down the blocks."""
    norms = {int(part[7:]): norm for part, norm in summary.norms.items() if part.startswith("layers:") and norm is not None}
    top = max(norms, default=0)
    if not norms.get(top):  # no block trains, or there is nothing to hold the others against
        return []
    apart = {block: norm / norms[top] for block, norm in norms.items()}
    found = []
    for word, blocks in (
        ("vanishing", [block for block, share in apart.items() if share * VANISHING < 1]),
        ("exploding", [block for block, share in apart.items() if share > VANISHING]),
    ):
        if blocks:
            low = min(blocks)
            far = f"the gradient of block {low} is {times(apart[low])} that of block {top}"
            found.append(f"{word} below block {max(blocks) + 1}: {far}")
    return found


def update_words(summary: TrackingSummary) -> list[str]:
    """Steps that are too large for the weights, in the part where they are largest. Fresh heads start near zero, so that large
    steps are right for them."""
    ratios = {part: ratio for part, ratio in summary.ratios.items() if ratio is not None and not part.startswith("head:")}
    if not ratios or max(ratios.values()) < LARGE_UPDATE:
        return []
    part = max(ratios, key=ratios.__getitem__)
    return [f"exploding: a step changes {spoken(part)} by {percent(ratios[part])} of the weights' norm"]


def pair_words(pair: PairSummary) -> list[str]:
    """Tasks that pull against each other more often than chance has it, and tasks of which one drowns the other."""
    (first, second), whole = pair.tasks, pair.whole
    if whole is None:
        return []
    found = []
    if whole.share > 0.5 + 1 / sqrt(whole.steps):  # two standard errors above a half, the share of tasks unrelated to each other
        most = f", most in {spoken(pair.worst)}" if pair.worst else ""
        found.append(f"{first} and {second} conflict in {percent(whole.share)} of steps{most}")
    if whole.ratio >= UNEQUAL:
        found.append(f"{first}'s gradient is {times(whole.ratio)} {second}'s")
    elif whole.ratio * UNEQUAL <= 1:
        found.append(f"{second}'s gradient is {times(1 / whole.ratio)} {first}'s")
    return found


def spoken(part: str) -> str:
    """`layers:3` is block 3."""
    return f"block {part[7:]}" if part.startswith("layers:") else "the embeddings" if part == "embeddings" else part


def times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= UNEQUAL else f"{ratio:.1e} times" if ratio else "0 times"
