"""Using a model: what `mtlkit.load` returns. Imports torch only where the engine needs it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from mtlkit.config.architecture import TaskSpec
from mtlkit.config.checked import check_choice
from mtlkit.config.common import Device
from mtlkit.config.inference import Backend, InferencePrecision
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError, listed, shorten, suggest
from mtlkit.inference.backends import open_backend
from mtlkit.inference.engine import ROUTER, Engine
from mtlkit.inference.find_model import MINI, find_model, mini_folder
from mtlkit.inference.predictions import answers
from mtlkit.inference.prompts import prompt_note, with_prompt
from mtlkit.inference.routing import Prediction, fits, likelihoods
from mtlkit.inference.similarity import cut, unit
from mtlkit.model.description import ModelDescription
from mtlkit.runs.record import RunRecord


class LoadedModel:
    """A model with its tokenizer: texts in, vectors and predictions out.

    `record` is what the run says of itself, None for a model that is not ours. Equal texts have equal vectors, whatever
    they are batched with (to 1e-5). `notes` are sentences for a user: the prompt in force, settings that are not known.
    """

    def __init__(
        self,
        path: Path,
        checkpoint: ModelDescription,
        record: RunRecord | None,
        encoder: TextEncoder,
        engine: Engine,
        notes: tuple[str, ...] = (),
    ):
        self.path = path
        self.checkpoint = checkpoint
        self.record = record
        self.encoder = encoder
        self.engine = engine
        self.notes = notes
        self.specs: dict[str, TaskSpec] = {spec.name: spec for spec in checkpoint.tasks}

    @property
    def name(self) -> str:
        """What messages call it: its folder, or `mini`."""
        return MINI if self.path == mini_folder() else str(self.path)

    @property
    def full_dim(self) -> int:
        """Length of a whole vector, which heads read."""
        return self.checkpoint.architecture.dim

    @property
    def dim(self) -> int:
        """Length of a vector: whole, or as far as the model keeps it by default."""
        return min(self.checkpoint.vectors.truncate_dim or self.full_dim, self.full_dim)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks it has heads for."""
        return tuple(self.specs)

    @property
    def router(self) -> tuple[str, ...]:
        """Names of the tasks that its router tells apart; none where it has no router."""
        return self.checkpoint.router

    @property
    def without_heads(self) -> str:
        """The beginning of an error: that it has no heads, and which one was not loaded."""
        from mtlkit.inference.load_weights import head_left_out

        head = "" if self.record else head_left_out(self.path)
        return f"the {head} is not supported, so {self.name} has no heads" if head else f"{self.name} has no heads"

    def recorded(self, task: str | None = None) -> list[SourceRecord]:
        """How the data of its tasks was read, or that of one task."""
        sources = self.checkpoint.sources
        return [record for name, record in sources.items() if task in (None, name)]

    def embed(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        dim: int | None = None,
        normalize: bool = False,
        batch_tokens: int | None = None,
    ) -> NDArray[np.float32]:
        """One vector a text: float32 (len(texts), dim); of length 1 with `normalize`.

        `prompt` is put before every text: the name of one of the model's prompts, or a text; "none" or "" for none; by default
        as the model was loaded. `dim` keeps the first numbers of each vector, by default `self.dim`. Raises UsageError.
        """
        if dim is not None and not 1 <= dim <= self.full_dim:
            raise UsageError(f"dim {dim}: the vectors of {self.name} have {self.full_dim} numbers; give 1 to {self.full_dim}")
        vectors = cut(self.vectors(self.encode(texts, prompt), batch_tokens=batch_tokens), dim or self.dim)
        return unit(vectors) if normalize else vectors

    def predict(self, texts: Sequence[str], task: str | None = None, *, prompt: str | None = None) -> list[Prediction]:
        """What each head says of each text, or the one head of `task`; the backbone runs once for all heads.

        Where the model has a router and no task is named, only the heads answer whose task it finds fitting: as likely as
        `routing.FITTING`, and in any case the likeliest; and heads that it never learned of. `router` of an answer is how
        likely each task is, {} without a router. `prompt` is as in `embed`.

        One dict a text: task -> {"label", "probability", "probabilities"} for classification, {"labels", "probabilities"} for
        multi-label, {"value"} for regression. Raises UsageError for a task that the model has no head for.
        """
        if not self.tasks:
            raise UsageError(f"{self.without_heads} to predict with; train some with 'mtlkit train-mtl --init {self.name}'")
        if task is not None and task not in self.tasks:
            raise UsageError(f"{self.name} has no head '{task}'; it has {listed(self.tasks)}{suggest(task, self.tasks)}")
        names = self.tasks if task is None else (task,)
        routed = bool(self.router) and task is None
        outputs = self.engine.outputs(self.encode(texts, prompt), [*names, *([ROUTER] if routed else [])])
        found = {name: answers(self.specs[name], outputs[name]) for name in names}
        likely = likelihoods(self.router, outputs[ROUTER]) if routed else [{}] * len(texts)
        return [
            Prediction({name: rows[place] for name, rows in found.items() if fits(name, router)}, router)
            for place, router in enumerate(likely)
        ]

    def encode(self, texts: Sequence[str], prompt: str | None = None) -> Encoded:
        """Texts as tokens, after the prompt that `embed` describes. Raises UsageError, TypeError for what are no strings."""
        if isinstance(texts, str):  # a sequence of letters, which nobody means
            raise TypeError("texts is one string; give a list of strings")
        texts = list(texts)
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                shown = shorten(repr(text), 60)
                raise TypeError(f"texts[{place}] is {shown}, of type {type(text).__name__}; give a list of strings")
        encoder = self.encoder if prompt is None else with_prompt(self.encoder, self.checkpoint.vectors, prompt)
        return encoder.encode(texts)

    def vectors(self, encoded: Encoded, *, batch_tokens: int | None = None) -> NDArray[np.float32]:
        """The whole vectors of texts that are tokens already, (N, full_dim)."""
        return self.engine.vectors(encoded, batch_tokens)


def load(
    path: str | Path,
    *,
    device: Device = "auto",
    precision: InferencePrecision = "auto",
    backend: Backend = "torch",
    prompt: str | None = None,
    literal_special_tokens: bool | None = None,
) -> LoadedModel:
    """Loads a model: a run, every file checked against its SHA-256, a Hugging Face folder or hub id, or `mini`, the model
    bundled in the package. `prompt` is put before every text, as in `LoadedModel.embed`; None takes the model's default.
    With `literal_special_tokens` a text that spells out a special token such as [SEP] is plain text; None reads texts as the
    model's own library does, and literally with tokenizers trained by mtlkit.

    Raises UsageError when there is no such model or backend, IntegrityError when a file is damaged or not supported,
    NetworkError when the hub cannot be reached.
    """
    check_choice("device", device, get_args(Device))
    check_choice("precision", precision, get_args(InferencePrecision))
    check_choice("backend", backend, get_args(Backend))
    is_folder = isinstance(path, Path) and path.is_dir()  # also one that is called mini
    folder = Path(path) if is_folder else find_model(os.fspath(path), Path("runs"), ()).path
    opened = open_backend(folder, device, precision, backend)
    vectors = opened.checkpoint.vectors
    encoder = with_prompt(opened.encoder.with_literal(literal_special_tokens), vectors, prompt)
    notes = tuple(filter(None, (opened.note, prompt_note(encoder.prompt, vectors, prompt))))
    return LoadedModel(folder, opened.checkpoint, opened.record, encoder, opened.engine, notes)
