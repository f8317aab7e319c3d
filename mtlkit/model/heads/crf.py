"""The loss of a linear-chain conditional random field (Lafferty, McCallum & Pereira 2001) over the tags of words, for many texts
at once. `tag_sequences` has what predictions need.

Shapes: W words of all texts one after another, N texts, C tags. `begins` (W,) says which words are the first of a text, or of a
part of one; `opens` (W,) and `closes` (W,), which of the first and last words are so of the whole text.
`start` (C,), `pair` (C from, C to) and `end` (C,) are the scores of transitions; a large negative number such as -1e4 forbids
one (infinity would have no gradient).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def crf_loss(
    emissions_WC: Tensor,
    tags_W: Tensor,
    begins_W: Tensor,
    start_C: Tensor,
    pair_CC: Tensor,
    end_C: Tensor,
    opens_W: Tensor | None = None,
    closes_W: Tensor | None = None,
) -> Tensor:
    """The negative log-likelihood of the tags of all texts, divided by the number of words. Parts of texts, with `opens` and
    `closes`, have scores of first and last tags only where the text begins and ends."""
    texts = _Texts.of(begins_W)
    first_W, last_W = begins_W, begins_W.roll(-1)
    starts_NC, ends_NC = start_C.expand(len(texts.firsts), -1), end_C.expand(len(texts.firsts), -1)
    if opens_W is not None and closes_W is not None:
        starts_NC = starts_NC * opens_W[texts.firsts, None]
        ends_NC = ends_NC * closes_W[texts.firsts + texts.lengths - 1, None]
        first_W, last_W = first_W & opens_W, last_W & closes_W
    path = emissions_WC.gather(1, tags_W[:, None]).sum() + start_C[tags_W[first_W]].sum() + end_C[tags_W[last_W]].sum()
    path = path + pair_CC[tags_W[:-1], tags_W[1:]][~begins_W[1:]].sum()
    totals_NC = torch.cat(_sums(emissions_WC, texts, starts_NC, pair_CC))
    return ((totals_NC + ends_NC).logsumexp(1).sum() - path) / len(tags_W)


@dataclass(frozen=True)
class _Texts:
    """Texts, the longest first: their first words and lengths, (N,), and at each position the number of texts that reach it."""

    firsts: Tensor
    lengths: Tensor
    counts: list[int]

    @classmethod
    def of(cls, begins_W: Tensor) -> _Texts:
        firsts = begins_W.nonzero()[:, 0]
        lengths = torch.diff(firsts, append=firsts.new_tensor([len(begins_W)]))
        lengths, order = lengths.sort(descending=True, stable=True)
        ends = torch.bincount(lengths)
        return cls(firsts[order], lengths, (len(lengths) - ends.cumsum(0))[:-1].tolist())


def _sums(emissions_WC: Tensor, texts: _Texts, starts_NC: Tensor, pair_CC: Tensor) -> list[Tensor]:
    """The log of the summed scores of all sequences that end in each tag of the last word of a text: of texts from long to
    short, in pieces."""
    before = starts_NC + emissions_WC[texts.firsts]
    finished: list[Tensor] = []
    for position, count in enumerate(texts.counts[1:], start=1):
        if count < len(before):
            finished.append(before[count:])
        arriving = (before[:count, :, None] + pair_CC).logsumexp(1)
        before = arriving + emissions_WC[texts.firsts[:count] + position]
    finished.append(before)
    return finished[::-1]
