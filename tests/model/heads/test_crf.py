"""The conditional random field, against a sum over all sequences of tags."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from mtlkit.config.architecture import TaskSpec
from mtlkit.model.heads.base import build_head
from mtlkit.model.heads.crf import crf_loss
from mtlkit.model.heads.crf_head import CrfHead
from mtlkit.model.heads.tag_sequences import log_marginals, table_of

LENGTHS = (3, 1, 4, 2, 3, 1)
TAGS = 3


@pytest.fixture(scope="module")
def begins() -> Tensor:
    flags = torch.zeros(sum(LENGTHS), dtype=torch.bool)
    flags[torch.tensor((0, *LENGTHS[:-1])).cumsum(0)] = True
    return flags


def parameters(seed: int = 0) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    noise = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=noise, dtype=torch.float64, requires_grad=True)

    tags = torch.randint(TAGS, (sum(LENGTHS),), generator=noise)
    return normal(sum(LENGTHS), TAGS), tags, (normal(TAGS), normal(TAGS, TAGS), normal(TAGS))


def marginals(emissions: Tensor, begins: Tensor, transitions: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """The log-probabilities that numpy computes."""
    table = table_of(*(part.detach().numpy() for part in transitions))
    return torch.from_numpy(log_marginals(emissions.detach().numpy(), begins.numpy(), table))


def path_score(emissions: Tensor, path: tuple[int, ...], transitions: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    start, pair, end = transitions
    inner = sum((pair[a, b] for a, b in pairwise(path)), start[path[0]] + end[path[-1]])
    return inner + emissions[range(len(path)), path].sum()


def test_the_loss_is_that_over_all_sequences(begins: Tensor) -> None:
    emissions, tags, transitions = parameters()
    total = torch.zeros((), dtype=torch.float64)
    for part, gold in zip(emissions.split(LENGTHS), tags.split(LENGTHS), strict=True):
        scores = [path_score(part, path, transitions) for path in product(range(TAGS), repeat=len(part))]
        total = total + torch.stack(scores).logsumexp(0) - path_score(part, tuple(gold.tolist()), transitions)
    loss = crf_loss(emissions, tags, begins, *transitions)
    assert loss.item() == pytest.approx(total.item() / len(tags), rel=1e-12)


def test_parts_of_texts_have_no_scores_of_first_and_last_tags_inside(begins: Tensor) -> None:
    """The third text, of four words, goes on from the second one and ends later: the chain has one part fewer of each score."""
    emissions, tags, (start, pair, end) = parameters()
    zero = torch.zeros_like(start)
    opens, closes = torch.ones_like(begins), torch.ones_like(begins)
    opens[4], closes[7] = False, False
    parts = [slice(0, 4), slice(4, 8), slice(8, 14)]
    totals = [
        crf_loss(emissions[part], tags[part], begins[part], *transitions).item() * (part.stop - part.start)
        for part, transitions in zip(parts, [(start, pair, end), (zero, pair, zero), (start, pair, end)], strict=True)
    ]
    loss = crf_loss(emissions, tags, begins, start, pair, end, opens, closes)
    assert loss.item() == pytest.approx(sum(totals) / len(tags), rel=1e-12)


def test_the_gradient_is_exact(begins: Tensor) -> None:
    emissions, tags, transitions = parameters()
    assert torch.autograd.gradcheck(lambda *values: crf_loss(values[0], tags, begins, *values[1:]), (emissions, *transitions))


def test_marginals_are_those_over_all_sequences(begins: Tensor) -> None:
    emissions, _, transitions = parameters()
    found = marginals(emissions, begins, transitions).exp()
    for part, own in zip(emissions.split(LENGTHS), found.split(LENGTHS), strict=True):
        paths = list(product(range(TAGS), repeat=len(part)))
        shares = torch.stack([path_score(part, path, transitions) for path in paths]).softmax(0)
        wanted = torch.zeros_like(part.detach())
        for path, share in zip(paths, shares, strict=True):
            wanted[range(len(path)), path] += share
        torch.testing.assert_close(own, wanted.detach().float())


def test_forbidden_transitions_have_no_probability(begins: Tensor) -> None:
    emissions, _, (start, pair, end) = parameters()
    forbidden = pair.detach().clone()
    forbidden[0, 1] = -1e4
    found = marginals(emissions, begins, (start.detach() + torch.tensor([0.0, -1e4, 0.0]), forbidden, end))
    assert found.isfinite().all()
    assert found[begins, 1].max() < -100
    loss = crf_loss(emissions, torch.full((len(begins),), 2), begins, start, forbidden, end)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, [emissions, start, end]))


def test_one_tag_is_certain() -> None:
    flags = torch.tensor([True, False])
    zeros = torch.zeros(2, 1), flags, torch.zeros(1), torch.zeros(1, 1), torch.zeros(1)
    assert marginals(*zeros[:2], zeros[2:]).abs().max() == 0
    assert crf_loss(zeros[0], torch.zeros(2, dtype=torch.int64), *zeros[1:]).item() == 0


def test_new_tags_get_the_mean_of_the_old_transitions() -> None:
    old_spec = TaskSpec("ner", "tokens", ("O", "B-X", "I-X"), tags="bio", transitions="learned")
    old = build_head(old_spec, 4, 0.0)
    new = build_head(replace(old_spec, labels=(*old_spec.labels, "B-Y", "I-Y")), 4, 0.0)
    assert isinstance(old, CrfHead)
    assert isinstance(new, CrfHead)
    torch.nn.init.normal_(old.crf.bias)
    new.grow_from(old)
    kept = torch.tensor([0, 1, 2, 5])  # and first and last tags
    torch.testing.assert_close(new.crf.table[kept][:, kept], old.crf.table)
    torch.testing.assert_close(new.crf.table[0, 3], old.crf.table[0, :3].mean())
    torch.testing.assert_close(new.crf.table[5, 4], old.crf.table[3, :3].mean())
    torch.testing.assert_close(new.crf.table[4, 3], old.crf.table[:3, :3].mean())
    torch.testing.assert_close(new.crf.affine.bias[:3], old.crf.affine.bias)
