"""The loss of a linear-chain conditional random field (Lafferty, McCallum & Pereira 2001) over the tags of words, for many texts
at once. `tag_sequences` has what predictions need.

Shapes: W words of all texts one after another, N texts, C tags. `begins` (W,) says which words are the first of a text.
`start` (C,), `pair` (C from, C to) and `end` (C,) are the scores of transitions; a large negative number such as -1e4 forbids
one (infinity would have no gradient).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def crf_loss(emissions_WC: Tensor, tags_W: Tensor, begins_W: Tensor, start_C: Tensor, pair_CC: Tensor, end_C: Tensor) -> Tensor:
    """The negative log-likelihood of the tags of all texts, divided by the number of words."""
    texts = _Texts.of(begins_W)
    last_W = begins_W.roll(-1)
    path = emissions_WC.gather(1, tags_W[:, None]).sum() + start_C[tags_W[begins_W]].sum() + end_C[tags_W[last_W]].sum()
    path = path + pair_CC[tags_W[:-1], tags_W[1:]][~begins_W[1:]].sum()
    totals_NC = torch.cat(_sums(emissions_WC, texts, start_C, pair_CC))
    return ((totals_NC + end_C).logsumexp(1).sum() - path) / len(tags_W)


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


def _sums(emissions_WC: Tensor, texts: _Texts, start_C: Tensor, pair_CC: Tensor) -> list[Tensor]:
    """The log of the summed scores of all sequences that end in each tag of the last word of a text: of texts from long to
    short, in pieces."""
    before = start_C + emissions_WC[texts.firsts]
    finished: list[Tensor] = []
    for position, count in enumerate(texts.counts[1:], start=1):
        if count < len(before):
            finished.append(before[count:])
        arriving = (before[:count, :, None] + pair_CC).logsumexp(1)
        before = arriving + emissions_WC[texts.firsts[:count] + position]
    finished.append(before)
    return finished[::-1]
