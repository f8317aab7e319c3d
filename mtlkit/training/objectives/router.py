"""Teaching a router to tell tasks apart by the vectors of their texts.

It is taught once, when the training is over and the weights that are kept stand in the model, so it reads the very vectors that
it will meet. It changes nothing of a training: backbone and heads come out the same to the last bit, with a router or without,
and freezing, guards, clipping and the choice of the best epoch never see it. A router taught on the way, step by step, would
learn from vectors that the backbone has left behind, and under round-robin the newer from the older in place of one task from
another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.data.encoded import Encoded
from mtlkit.errors import UsageError, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.fast import fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.router import Router
from mtlkit.seeding import generator
from mtlkit.training.incidents import RouterDropped, RouterTrained
from mtlkit.training.objectives.base import Objective

TEXTS = 1024  # of each task: twice as many tell real tasks apart no better
PULL = 1e-3  # of the weights to zero, more where texts are few: with it, a router is about as sure as it is right
SMALLEST = 1e-4  # spread of a number in vectors: below that it says nothing


def check_router(tasks: Sequence[str]) -> None:
    """Raises UsageError where `--router` would have nothing to tell apart; `tasks` are all that have data, watched ones too."""
    if len(tasks) < 2:
        raise UsageError(
            f"--router tells tasks apart, and only '{listed(tasks)}' has data; add a --task or --watch, or leave it out"
        )


@dataclass(frozen=True)
class RouterPlan:
    """Whether a model gets a router after training, and what happened to the one that it had, if that is worth telling."""

    wanted: bool
    dropped: RouterDropped | None = None


def take_router(model: MultiTaskModel, tasks: Sequence[str], asked: bool) -> RouterPlan:
    """Takes the router out of a model before training, as the vectors that it knows will change. The model gets a new one for
    `tasks` if `asked`, or if the old one told the same tasks apart."""
    old, model.router = model.router, None
    if old is None or set(old.tasks) == set(tasks):
        return RouterPlan(asked or old is not None)
    return RouterPlan(asked, RouterDropped(tuple(old.tasks), tuple(tasks), replaced=asked))


def teach_router(model: MultiTaskModel, objectives: Mapping[str, Objective], compute: Compute, seed: int) -> RouterTrained:
    """Gives a trained model a router to the tasks of these objectives; the model is left in evaluation mode.

    It learns from at most TEXTS training texts of each task, drawn by the seed. Returns its accuracy on as many validation texts.
    """
    fast = fastest(model.eval(), compute)

    def vectors(name: str, encoded: Encoded) -> Tensor:
        return encode_all(fast, some_of(encoded, name, seed), compute)

    taught = {name: vectors(name, objective.train.encoded) for name, objective in objectives.items()}
    model.router = fit_router(taught).eval()
    shares = {}
    for place, (name, objective) in enumerate(objectives.items()):
        with torch.no_grad():
            chosen = model.router(vectors(name, objective.validation.encoded)).argmax(1)
        shares[name] = float((chosen == place).float().mean())
    return RouterTrained(shares)


def some_of(encoded: Encoded, name: str, seed: int) -> Encoded:
    """TEXTS texts drawn by the seed, or all where there are fewer."""
    if len(encoded) <= TEXTS:
        return encoded
    rows = np.sort(generator(seed, "router", name).permutation(len(encoded))[:TEXTS])
    offsets = np.concatenate([[0], np.cumsum(encoded.lengths[rows])])
    return Encoded(encoded.ids[encoded.places(rows)], offsets, skip=encoded.skip)


def fit_router(vectors: Mapping[str, Tensor]) -> Router:
    """The router that tells the tasks of these vectors, each (N, D), apart best.

    It minimises the mean over the tasks of the mean cross-entropy of their texts, so that each counts alike however many
    texts it has, plus pull / 2 times the squares of the weights, where the pull is PULL, or 1 / N of all texts if that is
    more: a convex problem, solved by L-BFGS (Liu & Nocedal 1989).
    """
    found = torch.cat(list(vectors.values())).detach().float()
    router = Router(found.shape[1], vectors).to(found.device)
    counts = torch.tensor([len(one) for one in vectors.values()], device=found.device)
    true = torch.repeat_interleave(torch.arange(len(vectors), device=found.device), counts)
    shares = (1 / (len(vectors) * counts))[true]  # of each text in the loss; they add up to 1
    router.center = shares @ found
    router.spread = (shares @ (found - router.center) ** 2).sqrt().clamp(min=SMALLEST)
    pull = max(PULL, 1 / len(found))
    optimizer = torch.optim.LBFGS(router.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        loss = shares @ functional.cross_entropy(router(found), true, reduction="none") + pull / 2 * router.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()
    return router
