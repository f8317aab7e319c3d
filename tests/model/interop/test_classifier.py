"""Sequence classifiers of transformers and CrossEncoders, loaded with their heads and compared with their own libraries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SENTENCES
from peers import DISTILLED, PEERS, SHAPE, marks, peer_tokenizer, transformers

import mtlkit
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import IntegrityError
from mtlkit.model.interop.classifier import read_classifier
from mtlkit.recipes.export import export

LABELS = ("no", "maybe", "yes")
PAIRS = [(SENTENCES[0], SENTENCES[1]), ("one", f"{SENTENCES[2]} {SENTENCES[3]}"), ("", SENTENCES[4])]
TOKENIZERS = {
    "bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert", "electra": "Electra", "mpnet": "MPNet",
    "albert": "Albert", "nomic_bert": "Bert", "gte": "Roberta",
}  # fmt: skip


def write_classifier(folder: Path, kind: str = "bert", labels: tuple[str, ...] = LABELS, **settings: Any) -> Any:
    """Writes a folder as transformers does, and gives the model that is in it."""
    name, special, more = PEERS[kind]
    tokenizer = peer_tokenizer(SENTENCES, special)
    shape = DISTILLED if kind == "distilbert" else SHAPE
    config = getattr(transformers, f"{name}Config")(
        **{**shape, **more, **settings},
        vocab_size=tokenizer.get_vocab_size(),
        pad_token_id=tokenizer.token_to_id(marks(special)[2]),
        id2label=dict(enumerate(labels)),
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{name}ForSequenceClassification")(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.3) if weight.ndim > 1 else weight.add_(0.1 * torch.randn_like(weight))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": f"{TOKENIZERS[kind]}Tokenizer", "model_max_length": 40, "add_prefix_space": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return model


@torch.no_grad()
def logits_of(folder: Path, model: Any, firsts: list[str], seconds: list[str] | None = None) -> torch.Tensor:
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
    logits: torch.Tensor = model(**tokenizer(firsts, seconds, padding=True, truncation=True, return_tensors="pt")).logits
    return logits


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_classifier_reads_single_texts_and_pairs(kind: str, tmp_path: Path) -> None:
    model = write_classifier(tmp_path, kind)
    loaded = mtlkit.load(tmp_path)
    assert "single texts, or pairs with --pair" in " ".join(loaded.notes)
    firsts, seconds = map(list, zip(*PAIRS, strict=True))
    for texts, expected in (
        (firsts, logits_of(tmp_path, model, firsts)),
        (PAIRS, logits_of(tmp_path, model, firsts, seconds)),
    ):
        found = [list(row["classifier"]["probabilities"].values()) for row in loaded.predict(texts)]
        assert tuple(loaded.predict(texts)[0]["classifier"]["probabilities"]) == LABELS
        np.testing.assert_allclose(found, expected.softmax(-1).numpy(), atol=1e-5)


def test_vectors_are_those_of_a_sentence_encoder(tmp_path: Path) -> None:
    write_classifier(tmp_path / "a")
    (tmp_path / "b").mkdir()
    for path in (tmp_path / "a").iterdir():
        (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "b" / "config.json").read_text())
    (tmp_path / "b" / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    np.testing.assert_array_equal(
        mtlkit.load(tmp_path / "a").embed(SENTENCES[:3]), mtlkit.load(tmp_path / "b").embed(SENTENCES[:3])
    )


@pytest.mark.parametrize(
    ("labels", "settings", "kind", "sigmoid"),
    [
        (LABELS, {}, "classification", False),
        (LABELS, {"problem_type": "multi_label_classification"}, "multi-label", False),
        (("LABEL_0",), {}, "regression", True),
        (("LABEL_0",), {"problem_type": "regression"}, "regression", False),
        (("LABEL_0",), {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "regression", False),
    ],
)
def test_the_folder_says_what_its_outputs_are(
    labels: tuple[str, ...], settings: dict[str, Any], kind: str, sigmoid: bool, tmp_path: Path
) -> None:
    write_classifier(tmp_path, labels=labels, **settings)
    head = read_classifier(tmp_path)
    assert head is not None
    assert (head.spec.kind, head.spec.sigmoid) == (kind, sigmoid)
    assert head.spec.pair == ("joint" if "sbert_ce_default_activation_function" in settings else "either")


@pytest.mark.parametrize("activation", [None, "torch.nn.modules.linear.Identity"])
def test_scores_are_those_of_a_cross_encoder(activation: str | None, tmp_path: Path) -> None:
    library = pytest.importorskip("sentence_transformers")
    write_classifier(tmp_path / "plain", labels=("LABEL_0",))
    theirs = library.CrossEncoder(str(tmp_path / "plain"), device="cpu")
    if activation is not None:
        theirs.activation_fn = torch.nn.Identity()
    theirs.save_pretrained(str(tmp_path / "saved"))
    scores = theirs.predict(PAIRS)
    loaded = mtlkit.load(tmp_path / "saved")
    np.testing.assert_allclose([row["score"]["value"] for row in loaded.predict(PAIRS)], scores, atol=1e-5)
    with pytest.raises(IntegrityError, match="gives no vector of one text"):
        loaded.embed(["a text"])
    exported = export(ExportOptions(model=str(tmp_path / "saved"), format="sentence-transformers", out=tmp_path / "out"))
    assert exported.from_source is not None
    again = library.CrossEncoder(str(tmp_path / "out" / "cross-encoder" / "score"), device="cpu").predict(PAIRS)
    np.testing.assert_allclose(again, scores, atol=1e-5)


def test_a_cross_encoder_trains_further(tmp_path: Path) -> None:
    """Its head stays for the classes that it knows, and its backbone and pooler train."""
    library = pytest.importorskip("sentence_transformers")
    write_classifier(tmp_path / "plain", labels=("no", "yes"))
    library.CrossEncoder(str(tmp_path / "plain"), device="cpu").save_pretrained(str(tmp_path / "saved"))
    rows = [f"{first},{second},no" for first, second in zip(SENTENCES[:16], SENTENCES[16:32], strict=True)]
    rows += [row.removesuffix("no") + "yes" for row in rows[::2]]
    (tmp_path / "train.csv").write_text("first,second,label\n" + "\n".join(rows) + "\n")
    task = f"classifier={tmp_path / 'train.csv'}?pair=first,second"
    mtlkit.train_mtl(task=[task], init=str(tmp_path / "saved"), out=tmp_path / "run", epochs=1, min_steps=0)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["tasks"][0]["head"] == "tanh:32"
    assert config["tasks"][0]["pair"] == "joint"
    before, after = (mtlkit.load(tmp_path / name).predict(PAIRS)[0]["classifier"]["probability"] for name in ("saved", "run"))
    assert before != after


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id2label": {"1": "a", "2": "b"}}, "id2label"),
        ({"id2label": {"0": "a", "1": "a"}}, "repeated labels"),
        ({"sbert_ce_default_activation_function": "my.module.Function"}, "activation_fn 'my.module.Function' is not supported"),
        (
            {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity", "architectures": ["X"]},
            "cannot be loaded",
        ),
    ],
)
def test_what_cannot_be_loaded_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_classifier(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(IntegrityError, match=message):
        mtlkit.load(tmp_path)
