"""Loads the weights and tokenizer of a folder: a run, or a Hugging Face model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tokenizers import Tokenizer

from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.registries.adapters import SHARED
from mtlkit.data.tokenization.files import load_tokenizer
from mtlkit.data.tokenization.pretrained import build_tokenizer
from mtlkit.data.tokenization.tokenizer import TextEncoder, make_encoder
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.engines.base import ROUTER
from mtlkit.inference.hf_tokenizer import library_tokenizer, needs_library
from mtlkit.model.backbone import Backbone
from mtlkit.model.checkpoint import load_model
from mtlkit.model.description import CONFIG, ModelDescription, is_adapter, is_foreign, read_checkpoint
from mtlkit.model.encoder import own_encoder
from mtlkit.model.heads.router import Router
from mtlkit.model.interop.auto.models import check_supported, runs_through
from mtlkit.model.interop.classifier import Classifier, read_classifier, transformer_of
from mtlkit.model.interop.head_files import read_heads, read_tasks
from mtlkit.model.interop.json_files import read_object
from mtlkit.model.interop.language_model import is_generator, text_tokenizer
from mtlkit.model.interop.modules import MODULES, read_classifier_modules, read_modules
from mtlkit.model.interop.peft import apply_adapter, base_of
from mtlkit.model.interop.prediction_head import is_used, read_their_head
from mtlkit.model.interop.reading import describe_foreign, read_foreign
from mtlkit.model.interop.settings.model_kinds import dropped_head
from mtlkit.model.interop.settings.tokenizer import read_tokenizer_settings
from mtlkit.model.interop.settings.vectors import check_prompt_end
from mtlkit.model.interop.stray_weights import weights_note
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.prediction_head import PredictionHead, read_prediction_head
from mtlkit.runs.record import TOKENIZER, RunRecord, is_export, verify


@dataclass(frozen=True)
class LoadedWeights:
    """A model on the CPU in evaluation mode, with its tokenizer.

    `record` is None for models that mtlkit did not train; `classifies`: such a model has the head of a sequence classifier.
    `note` names what in a Hugging Face folder is unknown or ignored. `head` predicts tokens; None unless it is asked for.
    """

    model: MultiTaskModel
    checkpoint: ModelDescription
    encoder: TextEncoder
    record: RunRecord | None
    note: str = ""
    classifies: bool = False
    head: PredictionHead | None = None

    def merged(self) -> LoadedWeights:
        """The same model with the adapter of all tasks in the weights."""
        return self._with(self.checkpoint.merged(), self.model.merged_encoder(), self.model.router)

    def only(self, task: str, *, merge: bool = True) -> LoadedWeights:
        """The model of one task alone: its head, and its adapter, with `merge` in the weights."""
        description = self.checkpoint.only(task)
        if merge:
            return self._with(description.merged(), self.model.merged_encoder(task))
        return self._with(description, self.model.backbone)

    def mixed(self, share: float) -> LoadedWeights:
        """The same model with another share of the token embeddings in what is pooled."""
        encoder = own_encoder(self.model.backbone)
        encoder.mix(share)
        return replace(self, checkpoint=replace(self.checkpoint, architecture=encoder.architecture))

    def _with(self, description: ModelDescription, encoder: Backbone, router: Router | None = None) -> LoadedWeights:
        model = MultiTaskModel(encoder)
        for spec in description.tasks:
            model.heads[spec.name] = self.model.head(spec.name)
        for task in description.adapters:
            model.adapters[task] = self.model.adapters[task]
        model.router = router
        return replace(self, model=model.eval().requires_grad_(True), checkpoint=description)

    @property
    def readers(self) -> list[str]:
        """The names of an engine's outputs from one vector: tasks of single texts and of pairs in one sequence, then a
        router."""
        tasks = [name for name, spec in self.model.tasks.items() if spec.reads_vector]
        return [*tasks, *([ROUTER] if self.model.router is not None else [])]

    @property
    def joint_heads(self) -> list[str]:
        """The tasks whose heads read both texts of a pair in one sequence."""
        return [name for name, spec in self.model.tasks.items() if spec.joint]

    @property
    def word_heads(self) -> list[str]:
        """The tasks whose heads label words."""
        return [name for name, spec in self.model.tasks.items() if spec.tags is not None]

    @property
    def pair_heads(self) -> list[str]:
        """The tasks whose heads read the vectors of two texts."""
        return [name for name, spec in self.model.tasks.items() if spec.pair == "vectors"]


def read_description(path: Path, *, classifier: bool = True) -> ModelDescription:
    """The description of a folder's model, without loading its weights. Raises IntegrityError."""
    if not is_foreign(path):
        return read_checkpoint(path)
    if is_adapter(path):
        return with_heads(describe_foreign(adapter_base(path), classifier=False), read_tasks(path))
    return describe_foreign(path, classifier=classifier)


def adapter_base(path: Path) -> Path:
    """The folder of an adapter's base, downloaded if it is a hub id. Raises IntegrityError, UsageError, NetworkError."""
    from mtlkit.inference.find_model import find_model

    base = find_model(base_of(path), Path("runs"), ()).path
    if not is_foreign(base) or is_adapter(base):
        raise IntegrityError(f"{path}: its base {base} is not a model of transformers")
    return base


def with_heads(description: ModelDescription, tasks: tuple[TaskSpec, ...]) -> ModelDescription:
    """The description of a base with the heads beside an adapter."""
    return replace(description, tasks=tasks, stage="mtl") if tasks else description


def _load_adapter(path: Path) -> LoadedWeights:
    base = adapter_base(path)
    loaded = load_weights(base, classifier=False)
    way = "merge it with peft's merge_and_unload(), save the result with save_pretrained(), and name that folder"
    check_supported(loaded.checkpoint.architecture, f"{path}: an adapter", way)
    apply_adapter(path, own_encoder(loaded.model.backbone))
    tasks = read_tasks(path)
    read_heads(path, loaded.model, tasks)
    note = f"{path}: an adapter, merged into {base}"
    model = loaded.model.eval().requires_grad_(True)
    return replace(loaded, model=model, checkpoint=with_heads(loaded.checkpoint, tasks), note=note)


def load_weights(path: Path, *, classifier: bool = True, merge: bool = True, head: bool = False) -> LoadedWeights:
    """Loads a folder and checks the SHA-256 of every file of a run; with `classifier`, a sequence classifier or CrossEncoder with
    its head; with `merge`, the adapter of all tasks becomes part of the weights; with `head`, the head that predicts tokens.
    Raises IntegrityError, UsageError for an ONNX export."""
    if is_export(path):
        raise UsageError(f"{path} is an ONNX export without weights; use --backend onnx or specify the run it was exported from")
    if is_adapter(path):
        return _load_adapter(path)
    if is_foreign(path):
        model, checkpoint = read_foreign(path, classifier=classifier)
        read = read_classifier(path) if classifier else None
        note = _note(path, checkpoint, read, head)
        theirs = read_their_head(path, checkpoint.architecture) if head else None
        return LoadedWeights(model, checkpoint, _encoder(path, checkpoint), None, note, read is not None, theirs)
    record = verify(path)
    model, checkpoint = load_model(path)
    own = read_prediction_head(path, checkpoint.architecture) if head else None
    loaded = LoadedWeights(model, checkpoint, _encoder(path, checkpoint), record, head=own)
    return loaded.merged() if merge and SHARED in checkpoint.adapters else loaded


def prediction_head_of(path: Path, architecture: Architecture) -> PredictionHead | None:
    """The head of a model that predicts tokens; None if the folder has none. Raises IntegrityError."""
    return read_their_head(path, architecture) if is_foreign(path) else read_prediction_head(path, architecture)


def unloaded_head(path: Path) -> str:
    """The head of a Hugging Face folder that is not loaded, e.g. "classifier head of BertForSequenceClassification", or "".

    Raises IntegrityError.
    """
    if not is_foreign(path) or is_adapter(path) or read_classifier(path) is not None:
        return ""
    return dropped_head(read_object(read_modules(path).folder / CONFIG))


def _note(path: Path, checkpoint: ModelDescription, classifier: Classifier | None, predicts: bool) -> str:
    """What in a Hugging Face folder is unknown or ignored, or how its classifier is used, in one line."""
    if classifier is not None:
        modules = read_classifier_modules(path)
        weights = weights_note(modules.folder, checkpoint.architecture, read_object(modules.folder / CONFIG))
        return "; ".join(filter(None, [f"{path}: {classifier.note}", modules.note, weights]))
    modules = read_modules(path)
    config = read_object(modules.folder / CONFIG)
    head = dropped_head(config)
    outcome = "" if predicts and is_used(config) else " not loaded"
    weights = weights_note(modules.folder, checkpoint.architecture, config)
    return "; ".join(filter(None, [modules.note, f"{path}: {head}{outcome}" if head else "", weights]))


def read_encoder(path: Path) -> TextEncoder:
    """The tokenizer of a folder's model, without loading the weights. Raises IntegrityError."""
    return _encoder(adapter_base(path) if is_adapter(path) else path, read_description(path))


def _encoder(path: Path, checkpoint: ModelDescription) -> TextEncoder:
    folder = (transformer_of(path) or read_modules(path).folder) if is_foreign(path) else path
    tokenizer = _pretrained_tokenizer(path, folder) if is_foreign(path) else load_tokenizer(folder / TOKENIZER)
    vocab_size = checkpoint.architecture.vocab_size
    encoder = make_encoder(tokenizer, folder / TOKENIZER, checkpoint.encoding, vocab_size, checkpoint.vectors)
    if is_foreign(path) and not checkpoint.vectors.include_prompt:
        for token in encoder.after:
            check_prompt_end(folder, encoder.name_of(token))
    return encoder


def _pretrained_tokenizer(path: Path, inner: Path) -> Tokenizer:
    has_modules = (path / MODULES).is_file()
    if runs_through(path) is not None:
        return library_tokenizer(inner, has_modules=has_modules)
    settings = read_tokenizer_settings(inner, bare=not has_modules)
    if needs_library(settings):
        return library_tokenizer(inner, has_modules=has_modules)
    tokenizer = build_tokenizer(settings)
    return text_tokenizer(tokenizer, inner) if is_generator(path) else tokenizer
