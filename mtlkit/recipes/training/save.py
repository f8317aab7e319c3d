"""Writes the run at the end of every training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mtlkit.config.architecture import Encoding, Stage
from mtlkit.config.common import TrainingOptions
from mtlkit.config.source_record import SourceRecord
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.inference.scope.file import write_scopes
from mtlkit.inference.scope.scope import Scope
from mtlkit.model.checkpoint import save_model
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.inputs.card_facts import write_card
from mtlkit.recipes.inputs.command_line import command_line, plain
from mtlkit.runs import atomic as disk
from mtlkit.runs.record import TOKENIZER, RunRecord
from mtlkit.runs.staging import finish, staged
from mtlkit.training.events import BestOfTask
from mtlkit.training.state_dict import copy_into

BEST = "best"  # the folder in a run with a model for the best evaluation of each task


@dataclass(frozen=True)
class TrainedModel:
    """A trained model of a stage, with its tokenizer and encoding of texts. `sources` say how the data of each task was read;
    `vectors` are the settings for prompts and similarity; `scopes` recognize texts that fit no class of a head.
    """

    model: MultiTaskModel
    tokenizer: Tokenizer
    stage: Stage
    encoding: Encoding
    sources: Mapping[str, SourceRecord] = field(default_factory=dict)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    scopes: Mapping[str, Scope] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """How a model was trained: the command with its options, fingerprints of the data, the starting model, and its start."""

    command: str
    options: TrainingOptions
    data: dict[str, Any]
    parent: dict[str, str] | None = None
    started: str = ""


def save_run(
    folder: Path,
    out: Path,
    product: TrainedModel,
    provenance: Provenance,
    metrics: dict[str, Any],
    final: Path | None = None,
) -> None:
    """Writes model, tokenizer, card and record into the staged `folder` and moves it to `out`, which is moved to `final` later.
    Raises OSError."""
    model = product.model
    save_model(model, folder, product.stage, product.encoding, sources=product.sources, vectors=product.vectors)
    write_scopes(folder, product.scopes)
    disk.write(folder / TOKENIZER, product.tokenizer.to_str(pretty=True).encode())
    options = replace(provenance.options, resume=None, verbose=False, track=[])  # they do not affect the result
    command = command_line(provenance.command, options)
    seed, started = options.seed, provenance.started
    record = RunRecord(product.stage, command, plain(options), seed, provenance.data, metrics, provenance.parent, started=started)
    write_card(folder, final or out, record, model)
    finish(folder, out, record)


def save_bests(
    folder: Path, out: Path, product: TrainedModel, provenance: Provenance, best_weights: Sequence[BestOfTask]
) -> None:
    """Writes the weights of each task's best evaluation, as a run in `best/` in the staged folder of the run `out`. The scopes of
    `product` are those of heads without data.
    """
    (folder / BEST).mkdir()
    specs = product.model.tasks
    product.model.router, router = None, product.model.router  # it was trained on the vectors of the chosen weights
    weights = dict(product.model.named_parameters())
    chosen = {name: weight.detach().clone() for name, weight in weights.items()}
    for best in best_weights:
        copy_into(weights, best.weights or {})
        for task, spec in best.specs.items():
            product.model.head(task).spec = spec
        own = replace(product, scopes={**product.scopes, **best.scopes})
        metrics = {"task": best.task, "score": best.score, "best_epoch": best.epoch, "best_step": best.step}
        with staged(folder / BEST / best.task) as staged_folder:
            save_run(staged_folder, folder / BEST / best.task, own, provenance, metrics, out / BEST / best.task)
    copy_into(weights, chosen)
    for task, spec in specs.items():
        product.model.head(task).spec = spec
    product.model.router = router
