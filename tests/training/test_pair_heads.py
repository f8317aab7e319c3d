"""Fresh heads for pairs of vectors of length 1 begin with the cosine."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from support import freezing_of

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import prepare_task
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives.base import head_objectives
from mtlkit.training.plan import TrainData, TrainPlan
from mtlkit.training.trainer import Trainer


@pytest.mark.parametrize("known", [False, True])
def test_a_fresh_head_begins_with_the_cosine(
    tiny_model: MultiTaskModel, text_encoder: TextEncoder, compute: Compute, known: bool
) -> None:
    backbone = tiny_model.backbone
    backbone.architecture = replace(backbone.architecture, normalize=True)
    pairs = [(SENTENCES[row], SENTENCES[-row - 1]) for row in range(30)]
    table = LabelledTable([pair[0] for pair in pairs], ["0"] * 30, seconds=[pair[1] for pair in pairs])  # type: ignore[arg-type]
    vectors = [encode_all(tiny_model.eval(), text_encoder.encode(texts), compute) for texts in zip(*pairs, strict=True)]
    cosines = (vectors[0] * vectors[1]).sum(1).numpy().astype(np.float64)
    table = replace(table, labels=[str(10 * cosine) for cosine in cosines])
    center, spread = float(10 * cosines.mean()), float(10 * cosines.std())
    spec = TaskSpec("alike", "regression", (), center=center, spread=spread, pair="vectors")
    tiny_model.add_task(spec)
    task = prepare_task(spec, "tests", table, table.select(np.arange(4)), text_encoder)
    plan = TrainPlan(
        options=TrainMtlOptions(epochs=1, learning_rate=0.0, holdout=0), compute=compute, freezing=freezing_of(tiny_model, ())
    )
    data = TrainData(head_objectives(tiny_model, {"alike": task}), frozenset({"alike"} if known else ()))
    list(Trainer(plan, tiny_model, data).events(io.StringIO()))
    assert task.train.pairs is not None
    inputs = head_inputs(encode_all(tiny_model.eval(), task.train.encoded, compute), task.train.pairs)
    with torch.no_grad():
        outputs = tiny_model.head("alike")(inputs)[:, 0].numpy()
    correlation = np.corrcoef(outputs, cosines)[0, 1]
    assert (correlation > 0.99) == (not known)
