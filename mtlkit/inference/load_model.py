"""`mtlkit.load`: opens a model with its tokenizer and prompt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from mtlkit.config.checked import check_choice
from mtlkit.config.common import Device
from mtlkit.config.inference import Backend, InferencePrecision
from mtlkit.inference.backends import OpenedModel, open_backend
from mtlkit.inference.find_model import find_model
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.prompts import prompt_note, with_prompt
from mtlkit.model.interop.classifier import has_classifier
from mtlkit.runs.record import is_export


def load(
    path: str | Path,
    *,
    device: Device = "auto",
    precision: InferencePrecision = "auto",
    backend: Backend | None = None,
    prompt: str | None = None,
    literal_special_tokens: bool | None = None,
) -> LoadedModel:
    """Loads a model: a run (the SHA-256 of every file is checked), a Hugging Face folder or hub id, or `mini`, the bundled model.

    `backend` is "torch" by default, or "onnx" for an ONNX export, which needs no torch; "auto" also uses the export of a run.
    `prompt` is prepended to every text, as in `LoadedModel.embed`; None uses the model's default. With `literal_special_tokens`,
    special tokens such as [SEP] in a text are read as plain text; None does what the model's own library does, and reads them
    literally with tokenizers trained by mtlkit.

    Raises UsageError if there is no such model or backend, IntegrityError if a file is damaged or not supported, NetworkError if
    the hub cannot be reached.
    """
    check_choice("device", device, get_args(Device))
    check_choice("precision", precision, get_args(InferencePrecision))
    if backend is not None:
        check_choice("backend", backend, get_args(Backend))
    is_folder = isinstance(path, Path) and path.is_dir()  # even if it is named mini
    folder = Path(path) if is_folder else find_model(os.fspath(path), Path("runs"), ()).path
    if backend is None:
        backend = "onnx" if is_export(folder) else "torch"
    opened = open_backend(folder, device, precision, backend)
    model = assembled(folder, opened, prompt, literal_special_tokens)
    if opened.record is None and has_classifier(folder):
        model.sentences = lambda: open_backend(folder, device, precision, backend, classifier=False).engine
    return model


def assembled(folder: Path, opened: OpenedModel, prompt: str | None, literal_special_tokens: bool | None) -> LoadedModel:
    """An opened model that puts a prompt before its texts, as in `load`. Raises UsageError."""
    vectors = opened.checkpoint.vectors
    encoder = with_prompt(opened.encoder.with_literal(literal_special_tokens), vectors, prompt)
    notes = tuple(filter(None, (opened.note, prompt_note(encoder.prompt, vectors, prompt))))
    return LoadedModel(folder, opened.checkpoint, opened.record, encoder, opened.engine, notes)
