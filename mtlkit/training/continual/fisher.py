"""The diagonal of the Fisher information: how sensitive a head's predictions are to each weight.

F_i = E[(d log p(y | x) / d w_i)^2] over texts x of the task and labels y sampled from the head's predictions (true labels would
give the empirical Fisher: Kunstner et al. 2019).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mtlkit.inference.compute import Compute
from mtlkit.seeding import generator
from mtlkit.tasks.base import kind_of
from mtlkit.training.objectives.base import HeadObjective, inputs_of_batch

TEXTS = 400  # per task; one backward pass per text


def add_fisher(
    importance: Mapping[str, Tensor],
    weights: Mapping[str, nn.Parameter],
    objective: HeadObjective,
    compute: Compute,
    seed: int,
) -> None:
    """Adds the diagonal Fisher information of one task to `importance`, a tensor of zeros or earlier sums for each weight.

    It is the mean over at most TEXTS training texts, sampled with `seed`. The weights must require gradients. Leaves the model in
    eval mode.
    """
    model, task = objective.model.eval(), objective.task
    random = generator(seed, "fisher", task.name)
    rows = random.permutation(len(task.train))[:TEXTS]
    noise = torch.Generator().manual_seed(int(random.integers(2**31)))
    head = model.head(task.name)
    kind = kind_of(head.spec.kind)
    for index in range(len(rows)):
        row = rows[index : index + 1]
        batch = task.train.batch(row).to(compute.device)
        with torch.enable_grad(), compute.autocast():
            inputs, _ = inputs_of_batch(task.train, model.encode(batch), batch.vector_rows, row)
            outputs = head(inputs).float()
            labels = kind.sample(head.spec, outputs.detach().cpu(), noise).to(outputs.device)
            loss = -kind.log_likelihood(head.spec, outputs, labels)
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                importance[name].addcmul_(gradient, gradient, value=1 / len(rows))
