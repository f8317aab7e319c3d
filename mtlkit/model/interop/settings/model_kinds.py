"""Detects Hugging Face folders that are not sentence encoders: refuses adapters and cross-encoders, reports ignored heads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtlkit.errors import IntegrityError, listed
from mtlkit.model.description import ADAPTER
from mtlkit.model.interop.classifier import is_cross_encoder
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.json_files import read_object

HEADS_OF = {  # heads of transformers' classes, by suffix of the class name
    "ForSequenceClassification": "classifier head",
    "ForTokenClassification": "token-classifier head",
    "ForQuestionAnswering": "question-answering head",
    "ForMultipleChoice": "multiple-choice head",
    "ForNextSentencePrediction": "next-sentence head",
    "ForPreTraining": "pretraining heads",
    "ForMaskedLM": "masked-language-model head",
    "ForCausalLM": "language-model head",
    "LMHeadModel": "language-model head",
    "DoubleHeadsModel": "language-model and multiple-choice heads",
}


def check_kind(folder: Path) -> None:
    """Raises IntegrityError if the folder is an adapter, or a cross-encoder whose head is not read."""
    if (folder / ADAPTER).is_file():
        base = read_object(folder / ADAPTER).get("base_model_name_or_path") or "its base model"
        raise IntegrityError(
            f"{folder}: an adapter of {base}, not a whole model ({ADAPTER}); merge it into that with peft's "
            "merge_and_unload(), save the result with save_pretrained(), and name that folder"
        )
    if is_cross_encoder(folder):
        raise IntegrityError(
            f"{folder}: a CrossEncoder, which scores a pair of texts read together and gives no vector of one text; name a "
            "model of class SentenceTransformer"
        )


def classifiers() -> list[str]:
    """The families whose sequence classifiers can be loaded."""
    return [name for name, family in FAMILIES.items() if family.classifier]


def check_modules(folder: Path) -> None:
    """Raises IntegrityError for a cross-encoder that is made of several modules or another kind of model."""
    if is_cross_encoder(folder):
        raise IntegrityError(
            f"{folder}: this CrossEncoder cannot be loaded, only a sequence classifier of {listed(classifiers())}; if "
            "mtlkit exported it, name the run or the export that it is part of"
        )


def dropped_head(config: Mapping[str, Any]) -> str:
    """Describes the head in a config.json that is not loaded, such as "classifier head of BertForSequenceClassification"; empty
    if there is none.
    """
    named = config.get("architectures")
    architecture = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    family = FAMILIES.get(str(config.get("model_type")))
    head = next((head for ending, head in HEADS_OF.items() if architecture.endswith(ending)), "" if family is None else "head")
    if not architecture or not head or (family is not None and architecture == family.model_class):
        return ""
    return f"{head} of {architecture[:80]}"
