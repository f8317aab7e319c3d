"""Writes the batch at which a training diverged to a file, so that its texts can be inspected."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from mtlkit.runs import atomic as disk
from mtlkit.training.loop import DivergedStep
from mtlkit.training.objectives.base import Objective
from mtlkit.training.sampling.mixture import MicroBatch


def write_diverged(path: Path, error: DivergedStep, texts: Mapping[str, Any], resume_command: str) -> DivergedStep:
    """Writes the losses and texts of the batch. Returns the error with the name of the file, and with the command that skips the
    batch if it was a spike.
    """
    losses = [
        {name: value if math.isfinite(value) else str(value) for name, value in micro_batch.items()}
        for micro_batch in error.losses
    ]
    content = {"step": error.index + 1, "losses": losses, "rows": texts}
    disk.write(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))
    is_spike = all(math.isfinite(value) for micro_batch in error.losses for value in micro_batch.values())
    skip = f"; skip it with: {resume_command} --on-spike skip" if is_spike else ""
    return DivergedStep(f"{error}; the texts of the batch are in {path}{skip}", error.index, error.pieces, error.losses)


def texts_of(
    pieces: Sequence[MicroBatch], tokenizer: Tokenizer, objectives: Mapping[str, Objective]
) -> dict[str, list[dict[str, Any]]]:
    """The rows of micro-batches, by task: their numbers among the training rows, from 0, and their texts as the model reads
    them.
    """
    rows_by_task: dict[str, list[dict[str, Any]]] = {}
    for piece in pieces:
        for name, rows in piece.items():
            train = objectives[name].train
            for row in rows.tolist():
                batch = train.batch(np.array([row]))
                lengths = [length for texts, length in batch.groups for _ in range(texts)]
                texts = [tokenizer.decode(ids.tolist()) for ids in torch.split(batch.ids, lengths)]
                rows_by_task.setdefault(name, []).append({"row": row, "texts": texts})
    return rows_by_task
