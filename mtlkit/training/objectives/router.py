"""Trains a router to predict the task of a text from its vector.

The router is trained once, after all other training, on the vectors of the final model, which it will see in use. So it has no
effect on backbone and heads, which are bit-for-bit identical without it. A router trained along with the model would learn from
outdated vectors, and with a round-robin schedule might distinguish newer from older vectors rather than tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mtlkit.data.encoded import Encoded
from mtlkit.errors import UsageError, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.inference.engines.fast import fastest
from mtlkit.model.heads.router import Router
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.seeding import generator
from mtlkit.training.incidents import RouterDropped, RouterTrained
from mtlkit.training.objectives.base import HeadObjective

TEXTS = 1024  # per task; twice as many do not improve the accuracy on real tasks
L2 = 1e-3  # regularisation, stronger if there are few texts; makes confidences about as high as the accuracy
SMALLEST = 1e-4  # standard deviation below which a dimension of the vectors is ignored


def check_router(tables: Mapping[str, str], of_pairs: Collection[str] = (), of_words: Collection[str] = ()) -> None:
    """Raises UsageError if `--router` has fewer than two tasks to distinguish, or some that have the same texts.

    `tables` identify the rows of each task with data; some may be only watched. Those `of_pairs` or `of_words` are not routed.
    """
    tasks = list(tables)
    same = [name for name, table in tables.items() if list(tables.values()).count(table) > 1]
    if same:
        raise UsageError(f"--router tells tasks apart by their texts, and {listed(same)} have the same; remove it")
    if len(tasks) - len(of_pairs) - len(of_words) < 2 and of_words:
        raise UsageError(
            f"--router tells texts of several tasks apart, and {listed(map(repr, sorted(of_words)))} labels words; add a --task "
            "that labels texts, or remove it"
        )
    if len(tasks) - len(of_pairs) < 2 and of_pairs:
        raise UsageError(
            f"--router tells single texts of several tasks apart, and rows of {listed(map(repr, sorted(of_pairs)))} are pairs of "
            "texts; add a --task of single texts, or remove it"
        )
    if len(tasks) < 2:
        raise UsageError(
            f"--router needs two tasks to distinguish, and only '{listed(tasks)}' has data; add a --task or --watch, or remove it"
        )


@dataclass(frozen=True)
class RouterPlan:
    """Whether a model gets a router after training, and the event for a router that was removed before it."""

    wanted: bool
    dropped: RouterDropped | None = None


def routed(objectives: Mapping[str, HeadObjective]) -> dict[str, HeadObjective]:
    """The tasks that a router tells apart: those whose heads read texts."""
    return {name: objective for name, objective in objectives.items() if objective.task.spec.reads_texts}


def take_router(model: MultiTaskModel, tasks: Sequence[str], requested: bool) -> RouterPlan:
    """Removes the router of a model before training, because the vectors will change. A new one for `tasks` is planned if
    `requested`, or if the old one distinguished the same tasks.
    """
    old, model.router = model.router, None
    if old is None or set(old.tasks) == set(tasks):
        return RouterPlan(requested or old is not None)
    return RouterPlan(requested, RouterDropped(tuple(old.tasks), tuple(tasks), replaced=requested))


def teach_router(model: MultiTaskModel, objectives: Mapping[str, HeadObjective], compute: Compute, seed: int) -> RouterTrained:
    """Trains a router for the tasks of single texts and adds it to the model, which is left in eval mode.

    Uses at most TEXTS training texts per task, sampled with the seed. Returns its accuracy on at most TEXTS validation texts of
    each task that has any.
    """
    fast, objectives = fastest(model.eval(), compute), routed(objectives)

    def vectors(name: str, encoded: Encoded) -> Tensor:
        return encode_all(fast, some_of(encoded, name, seed), compute)

    train = {name: vectors(name, objective.train.encoded) for name, objective in objectives.items()}
    model.router = fit_router(train).eval()
    accuracy = {}
    for index, (name, objective) in enumerate(objectives.items()):
        if not len(objective.validation.lengths):
            continue
        with torch.no_grad():
            predicted = model.router(vectors(name, objective.validation.encoded)).argmax(1)
        accuracy[name] = float((predicted == index).float().mean())
    return RouterTrained(accuracy)


def some_of(encoded: Encoded, name: str, seed: int) -> Encoded:
    """TEXTS texts sampled with the seed, or all if there are fewer."""
    if len(encoded) <= TEXTS:
        return encoded
    rows = np.sort(generator(seed, "router", name).permutation(len(encoded))[:TEXTS])
    return encoded.take(rows)


def fit_router(vectors: Mapping[str, Tensor]) -> Router:
    """Fits a router to the vectors, (N, D), of each task.

    Minimises the mean over tasks of the mean cross-entropy of their texts, so that all tasks have the same weight, plus l2 / 2
    |w|^2 with l2 = max(L2, 1 / total number of texts). This is a convex problem, solved by L-BFGS (Liu & Nocedal 1989).
    """
    all_vectors = torch.cat(list(vectors.values())).detach().float()
    device = all_vectors.device
    router = Router(all_vectors.shape[1], vectors).to(device)
    counts = torch.tensor([len(task_vectors) for task_vectors in vectors.values()], device=device)
    true = torch.repeat_interleave(torch.arange(len(vectors), device=device), counts)
    shares = (1 / (len(vectors) * counts))[true]  # of each text in the loss; they sum to 1
    router.center = shares @ all_vectors
    router.spread = (shares @ (all_vectors - router.center) ** 2).sqrt().clamp(min=SMALLEST)
    l2 = max(L2, 1 / len(all_vectors))
    optimizer = torch.optim.LBFGS(router.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> float:
        optimizer.zero_grad()
        losses = functional.cross_entropy(router(all_vectors), true, reduction="none")
        loss = shares @ losses + l2 / 2 * router.weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    optimizer.zero_grad()
    return router
