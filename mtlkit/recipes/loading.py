"""Finding a model, and using it: what `mtlkit.load` returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.config.architecture import Stage
from mtlkit.data.tokenizer import TextEncoder, load_tokenizer
from mtlkit.errors import IntegrityError, UsageError, listed, suggest
from mtlkit.model.checkpoint import Checkpoint, load_model
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.recipes.saving import TOKENIZER
from mtlkit.runs import RunRecord, diagnose, newest, verify
from mtlkit.training.inference import EVALUATION_TOKENS, encode_all
from mtlkit.training.loop import Compute, DeviceName, PrecisionName, choose_compute

WAYS = {
    "base": "train one with 'mtlkit pretrain', or start from fresh weights with --init scratch",
    "sentence": "train one with 'mtlkit pretrain' and 'mtlkit train-sentence', or start from fresh weights with --init scratch",
    "any": "train one with 'mtlkit pretrain', 'mtlkit train-sentence' or 'mtlkit train-mtl', or name one with --model",
}


@dataclass(frozen=True)
class Found:
    """A model's folder and why it was taken."""

    path: Path
    reason: str


def find_model(asked: str | None, runs: Path, stages: Sequence[Stage], way: str) -> Found:
    """The folder asked for, else the newest run of the first stage that has one. Raises UsageError when there is none."""
    if asked is not None:
        path = Path(asked).expanduser()
        if not path.exists():
            there = [str(one.parent) for one in sorted(runs.glob("*/run.json"))] if runs.is_dir() else []
            known = f"; runs: {listed(there)}" if there else ""
            raise UsageError(f"model {asked}: no such folder{known}{suggest(asked, there)}")
        if path.is_file():
            what = diagnose(path) or "a file"
            raise IntegrityError(f"{asked}: {what}; name the folder of a run")
        return Found(path, "as asked")
    path_found = newest(runs, stages)
    if path_found is None:
        raise UsageError(f"no model under {runs}/; {WAYS[way]}")
    return Found(path_found, f"the newest run under {runs}/ that fits")


class LoadedModel:
    """A model with its tokenizer: texts in, vectors and predictions out.

    `record` is what the run says of itself. Equal texts have equal vectors, whatever they are batched with (to 1e-5).
    """

    def __init__(
        self,
        path: Path,
        model: MultiTaskModel,
        checkpoint: Checkpoint,
        record: RunRecord,
        encoder: TextEncoder,
        compute: Compute,
    ):
        self.path = path
        self.model = model.to(compute.device).eval()
        self.checkpoint = checkpoint
        self.record = record
        self.encoder = encoder
        self.compute = compute

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.checkpoint.architecture.dim

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks it has heads for."""
        return tuple(self.model.tasks)

    def embed(
        self, texts: Sequence[str], *, normalize: bool = False, batch_tokens: int = EVALUATION_TOKENS
    ) -> NDArray[np.float32]:
        """One vector a text: float32 (len(texts), dim); of length 1 with `normalize`."""
        vectors = self._vectors(texts, batch_tokens)
        if normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        array: NDArray[np.float32] = vectors.cpu().numpy()
        return array

    def predict(self, texts: Sequence[str], task: str | None = None) -> list[dict[str, dict[str, Any]]]:
        """What each head says of each text, or the one head of `task`; the backbone runs once for all heads.

        One dict a text: task -> {"label", "probability", "probabilities"} for classification, {"labels", "probabilities"} for
        multi-label, {"value"} for regression. Raises UsageError for a task that the model has no head for.
        """
        if not self.tasks:
            raise UsageError(f"{self.path} has no heads to predict with; train some with 'mtlkit train-mtl --init {self.path}'")
        if task is not None and task not in self.tasks:
            raise UsageError(f"{self.path} has no head '{task}'; it has {listed(self.tasks)}{suggest(task, self.tasks)}")
        vectors = self._vectors(texts, EVALUATION_TOKENS)
        answers: list[dict[str, dict[str, Any]]] = [{} for _ in texts]
        for name in (task,) if task is not None else self.tasks:
            head = self.model.head(name)
            with torch.no_grad():
                rows = head.probabilities(head(vectors)).cpu().tolist()
            for answer, row in zip(answers, rows, strict=True):
                answer[name] = _answer(head.spec.kind, head.spec.labels, row)
        return answers

    def _vectors(self, texts: Sequence[str], batch_tokens: int) -> Tensor:
        if isinstance(texts, str):  # a sequence of letters, which nobody means
            raise TypeError("texts is one string; give a list of strings")
        return encode_all(self.model, self.encoder.encode(texts), self.compute, batch_tokens)


def _answer(kind: str, labels: Sequence[str], row: Sequence[float]) -> dict[str, Any]:
    if kind == "regression":
        return {"value": row[0]}
    probabilities = dict(zip(labels, row, strict=True))
    if kind == "multi-label":
        return {
            "labels": [label for label, value in probabilities.items() if value > 0.5],
            "probabilities": probabilities,
        }
    best = max(probabilities, key=lambda label: probabilities[label])
    return {"label": best, "probability": probabilities[best], "probabilities": probabilities}


def load(path: str | Path, *, device: DeviceName = "auto", precision: PrecisionName = "auto") -> LoadedModel:
    """The model of a run folder, every file checked against its SHA-256.

    Raises IntegrityError when a file is damaged or not what it should be.
    """
    path = Path(path)
    record = verify(path)
    model, checkpoint = load_model(path)
    encoder = TextEncoder(load_tokenizer(path / TOKENIZER), checkpoint.encoding)
    return LoadedModel(path, model, checkpoint, record, encoder, choose_compute(device, precision))
