"""The head of a sequence classifier of transformers, or of a CrossEncoder, as a task. Does not import torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import PairInput, TaskSpec
from mtlkit.config.pooling import LARGEST
from mtlkit.errors import IntegrityError, UsageError, shorten
from mtlkit.model.description import ADAPTER, CONFIG
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.json_files import read_json, read_object, read_optional
from mtlkit.model.interop.modules import MODULES, module_folders
from mtlkit.model.interop.settings.known import SENTENCE_TRANSFORMERS

CLASSIFIER = "ForSequenceClassification"
CROSS_ENCODER_KEYS = ("sentence_transformers", "sbert_ce_default_activation_function")  # in config.json, before version 5
OLD_ACTIVATION = CROSS_ENCODER_KEYS[1]
SCORE, CLASSES = "score", "classifier"  # names of a task with one number, and with labels
DEFAULT_LABELS = 2  # of transformers' configurations


@dataclass(frozen=True)
class Classifier:
    """The head of a folder: its task, and the names of its two linear layers in the file. `title` names it in messages."""

    spec: TaskSpec
    layers: tuple[str, str]
    title: str

    @property
    def note(self) -> str:
        """How the head is used, in one line."""
        reads = "single texts, or pairs with --pair" if self.spec.pair == "either" else "pairs, with --pair"
        return f"{self.title} is head '{self.spec.name}', which reads {reads}"


def is_cross_encoder(folder: Path) -> bool:
    """Whether a folder says that it is a CrossEncoder. Raises IntegrityError."""
    kind = read_optional(folder / SENTENCE_TRANSFORMERS).get("model_type")
    return kind == "CrossEncoder" or any(key in read_optional(folder / CONFIG) for key in CROSS_ENCODER_KEYS)


def read_classifier(folder: Path) -> Classifier | None:
    """The classifier of a folder; None if it has none that can be loaded, or wraps the model in a SentenceTransformer. Raises
    IntegrityError for labels or an activation that are not supported."""
    inner = transformer_of(folder)
    if inner is None or (folder / ADAPTER).is_file():
        return None
    config = read_object(inner / CONFIG)
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else ""
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None or not family.classifier or not architecture.endswith(CLASSIFIER):
        return None
    form, *layers = family.classifier
    labels, cross = _labels(inner / CONFIG, config), is_cross_encoder(folder)
    activation = _activation(folder, config, cross)
    pair: PairInput = "joint" if cross else "either"
    several = activation == "Sigmoid" or config.get("problem_type") == "multi_label_classification"
    kind = "regression" if len(labels) == 1 else "multi-label" if several else "classification"
    number = len(labels) == 1
    try:
        spec = TaskSpec.from_json(
            {
                "name": SCORE if number else CLASSES,
                "kind": kind,
                "labels": [] if number else labels,
                "head": f"{form}:{family.setting(config, family.keys['dim'])}",
                "pair": pair,
                "sigmoid": number and activation != "Identity",
            }
        )
    except (ValueError, UsageError) as error:
        raise IntegrityError(f"{inner / CONFIG}: its classifier is not supported ({error})") from None
    return Classifier(spec, (layers[0], layers[1]), f"the classifier of {architecture[:80]}")


def has_classifier(folder: Path) -> bool:
    """Whether a folder of another library is loaded with the head of a sequence classifier. Raises IntegrityError."""
    return read_classifier(folder) is not None


def transformer_of(folder: Path) -> Path | None:
    """The folder with the config.json of a bare model, or of a CrossEncoder that is one model; None for other modules."""
    if not (folder / MODULES).is_file():
        return folder
    modules = read_json(folder / MODULES)
    return module_folders(folder)[0] if isinstance(modules, list) and len(modules) == 1 else None


def _labels(path: Path, config: Mapping[str, Any]) -> list[str]:
    """The names of the outputs, in order. Raises IntegrityError."""
    named = config.get("id2label")
    if named is None:
        count = config.get("num_labels", DEFAULT_LABELS)
        if type(count) is not int or not 1 <= count <= LARGEST:
            raise IntegrityError(f"{path}: num_labels {shorten(repr(count), 20)} is not a number of labels")
        return [f"LABEL_{number}" for number in range(count)]
    if not isinstance(named, dict) or set(named) != {str(number) for number in range(len(named))} or not named:
        raise IntegrityError(f"{path}: damaged (id2label is not an object of labels by their numbers from 0)")
    return [str(named[str(number)]) for number in range(len(named))]


def _activation(folder: Path, config: Mapping[str, Any], cross: bool) -> str:
    """The last part of the name of what turns outputs into scores; "" for the default. Raises IntegrityError."""
    inner = config.get(CROSS_ENCODER_KEYS[0])
    stored = read_optional(folder / SENTENCE_TRANSFORMERS).get("activation_fn") if cross else None
    stored = stored or (inner.get("activation_fn") if isinstance(inner, dict) else None) or config.get(OLD_ACTIVATION)
    if stored is None:
        return "Identity" if config.get("problem_type") == "regression" and not cross else ""
    name = str(stored).rpartition(".")[2]
    if not str(stored).startswith("torch.nn.modules.") or name not in ("Identity", "Sigmoid"):
        raise IntegrityError(
            f"{folder}: activation_fn {shorten(str(stored))!r} is not supported; supported: Identity and Sigmoid of torch.nn"
        )
    return name
