"""Folders of other libraries that are no sentence encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from peers import transformers

from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import load_weights
from mtlkit.model.interop.settings.model_kinds import dropped_head


@pytest.fixture
def folder(peer: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(peer, tmp_path / "model"))


def lay(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "head"), [("QuestionAnswering", "question-answering head"), ("TokenClassification", "token-classifier head")]
)
def test_a_head_that_is_not_loaded_is_named(peer: Path, tmp_path: Path, name: str, head: str) -> None:
    model = getattr(transformers, f"BertFor{name}").from_pretrained(peer)
    shutil.copytree(peer, tmp_path / "model")
    model.save_pretrained(tmp_path / "model")
    loaded = load_weights(tmp_path / "model")
    assert loaded.note == f"{tmp_path / 'model'}: {head} of BertFor{name} not loaded"
    with pytest.raises(UsageError, match=f"the {head} of BertFor{name} is not supported, so .* has no heads to predict with"):
        load(tmp_path / "model").predict(["a"])


def test_a_bare_model_leaves_nothing_out(folder: Path) -> None:
    assert load_weights(folder).note == ""
    with pytest.raises(UsageError, match=r"model has no heads to predict with"):
        load(folder).predict(["a"])


def test_any_other_class_of_a_known_family_is_named() -> None:
    assert dropped_head({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}) == "language-model head of GPT2LMHeadModel"
    assert dropped_head({"model_type": "bert", "architectures": ["MyBert"]}) == "head of MyBert"
    for named in ([], None, "BertModel", [5], ["BertModel"]):
        assert dropped_head({"model_type": "bert", "architectures": named}) == ""


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("config_sentence_transformers.json", {"model_type": "CrossEncoder", "prompts": {}}),
        ("config.json", {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}),
        ("config.json", {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
    ],
)
def test_a_cross_encoder_without_a_classifier_is_refused(folder: Path, file: str, value: dict[str, Any]) -> None:
    lay(folder / file, **value)
    with pytest.raises(IntegrityError, match="this CrossEncoder cannot be loaded"):
        load(folder)


def test_adapter_beside_a_whole_model_is_refused_with_advice(folder: Path) -> None:
    lay(folder / "adapter_config.json", base_model_name_or_path="org/base", peft_type="LORA")
    with pytest.raises(IntegrityError, match=r"an adapter of org/base, not a whole model .*; merge it .* merge_and_unload\(\)"):
        load(folder)
