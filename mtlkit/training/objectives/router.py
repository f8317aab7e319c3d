"""Trains a router to predict the task of a text from its vector.

The router is trained once, after the training, on the final weights and thus on the same vectors that it will see later. It has
no effect on the training: backbone and heads are bit-for-bit identical with or without it, and it does not interact with
freezing, guards, clipping or the selection of the best epoch. A router trained along with the model would learn from outdated
vectors, and under round-robin might distinguish newer from older vectors rather than tasks.
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

TEXTS = 1024  # per task; twice as many are not more accurate on real tasks
PULL = 1e-3  # L2 regularisation, higher if there are few texts; makes confidences about as high as the accuracy
SMALLEST = 1e-4  # standard deviation below which a dimension of the vectors is ignored


def check_router(tasks: Sequence[str]) -> None:
    """Raises UsageError if `--router` has fewer than two tasks to distinguish; `tasks` are all tasks with data, including watched
    ones.
    """
    if len(tasks) < 2:
        raise UsageError(
            f"--router tells tasks apart, and only '{listed(tasks)}' has data; add a --task or --watch, or remove it"
        )


@dataclass(frozen=True)
class RouterPlan:
    """Whether a model gets a router after training, and what to report about its previous one."""

    wanted: bool
    dropped: RouterDropped | None = None


def take_router(model: MultiTaskModel, tasks: Sequence[str], asked: bool) -> RouterPlan:
    """Removes the router of a model before training, as the vectors will change. The model gets a new one for `tasks` if `asked`,
    or if the old one distinguished the same tasks.
    """
    old, model.router = model.router, None
    if old is None or set(old.tasks) == set(tasks):
        return RouterPlan(asked or old is not None)
    return RouterPlan(asked, RouterDropped(tuple(old.tasks), tuple(tasks), replaced=asked))


def teach_router(model: MultiTaskModel, objectives: Mapping[str, Objective], compute: Compute, seed: int) -> RouterTrained:
    """Trains a router for the tasks of these objectives and adds it to the model; leaves the model in eval mode.

    Uses at most TEXTS training texts of each task, sampled with the seed. Returns its accuracy on as many validation texts.
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
    """TEXTS texts sampled with the seed, or all if there are fewer."""
    if len(encoded) <= TEXTS:
        return encoded
    rows = np.sort(generator(seed, "router", name).permutation(len(encoded))[:TEXTS])
    offsets = np.concatenate([[0], np.cumsum(encoded.lengths[rows])])
    return Encoded(encoded.ids[encoded.places(rows)], offsets, skip=encoded.skip)


def fit_router(vectors: Mapping[str, Tensor]) -> Router:
    """Fits a router to the vectors, (N, D), of each task.

    Minimises the mean over tasks of the mean cross-entropy of their texts, which weights tasks equally whatever their number of
    texts, plus pull / 2 times the squared weights, with the larger of PULL and 1 / N over all texts as pull: a convex problem,
    solved by L-BFGS (Liu & Nocedal 1989).
    """
    found = torch.cat(list(vectors.values())).detach().float()
    router = Router(found.shape[1], vectors).to(found.device)
    counts = torch.tensor([len(one) for one in vectors.values()], device=found.device)
    true = torch.repeat_interleave(torch.arange(len(vectors), device=found.device), counts)
    shares = (1 / (len(vectors) * counts))[true]  # of each text in the loss; they sum to 1
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
