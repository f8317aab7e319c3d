"""The last act of every training recipe: its run on disk."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from mtlkit.config.architecture import Encoding, Stage
from mtlkit.config.common import TrainingOptions
from mtlkit.config.inference import ExportOptions
from mtlkit.model.checkpoint import save_model
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.report.card import model_card
from mtlkit.runs import TOKENIZER, RunRecord, finish


def plain(options: TrainingOptions | ExportOptions) -> dict[str, Any]:
    """Options as JSON can hold them."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()}


def command_line(command: str, options: TrainingOptions | ExportOptions) -> str:
    """The command that gives these options, leaving out what stands at its default."""
    words = ["mtlkit", command]
    positional = {item.name for item in fields(options) if "option" in item.metadata and item.metadata["option"].positional}
    defaults = plain(type(options)())
    for name, value in plain(options).items():
        if value == defaults[name] or value is None:
            continue
        flag = f"--{name.replace('_', '-')}"
        if name in positional:
            words += value if isinstance(value, list) else [value]
        elif isinstance(value, bool):
            words.append(flag)
        else:
            for one in value if isinstance(value, list) else [value]:
                words += [flag, str(one)]
    return shlex.join(words)


@dataclass(frozen=True)
class Product:
    """What a training made: a model of a stage, and how it reads texts."""

    model: MultiTaskModel
    tokenizer: Tokenizer
    stage: Stage
    encoding: Encoding


def save_run(
    folder: Path,
    out: Path,
    product: Product,
    command: str,
    options: TrainingOptions,
    *,
    data: dict[str, Any],
    metrics: dict[str, Any],
    parent: dict[str, str] | None = None,
) -> None:
    """Writes model, tokenizer, card and record into the staged folder and moves it to its place."""
    model = product.model
    save_model(model, folder, product.stage, product.encoding)
    product.tokenizer.save(str(folder / TOKENIZER))
    record = RunRecord(product.stage, command_line(command, options), plain(options), options.seed, data, metrics, parent)
    card = model_card(record, model.backbone.architecture, tuple(model.tasks.values()))
    (folder / "README.md").write_text(card, encoding="utf-8")
    finish(folder, out, record)
