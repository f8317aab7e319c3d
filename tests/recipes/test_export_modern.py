"""Bases with modern blocks, and models trained from them, as transformers and sentence-transformers load them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import TEXTS, encode

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import load_weights
from mtlkit.model.encoder import own_encoder
from mtlkit.model.interop import silence
from mtlkit.model.interop.language_model import write_language_model
from mtlkit.model.language import token_logits, token_losses
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.recipes.evaluation.base import evaluate_base
from mtlkit.recipes.export import export
from mtlkit.recipes.exporting.tokenizer_facts import tokenizer_facts
from mtlkit.recipes.exporting.verify import TOLERANCE
from mtlkit.recipes.pretrain import pretrain
from mtlkit.recipes.train_mtl import train_mtl
from mtlkit.training.pretraining import window_batch

transformers: Any = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # other libraries' own

SMALL: dict[str, Any] = {"layers": 2, "dim": 32, "heads": 2, "vocab_size": 400, "context": 32, "batch_tokens": 256}
TEXT = "The cat sleeps near the river."


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A base for next tokens, one for masked tokens, and heads trained from the first."""
    out, sources = tmp_path_factory.mktemp("modern"), [str(data / "kind" / "train.csv")]
    common = PretrainOptions(sources=sources, block="modern", epochs=8, learning_rate=5e-3, out=out / "causal", **SMALL)
    pretrain(common)
    pretrain(PretrainOptions(**{**vars(common), "objective": "mlm", "optimizer": "muon", "out": out / "masked"}))
    train_mtl(
        TrainMtlOptions(
            task=[f"kind={data / 'kind'}"], init=str(out / "causal"), attention="bidirectional", epochs=1, out=out / "mtl"
        )
    )
    return {name: out / name for name in ("causal", "masked", "mtl")}


@pytest.fixture(scope="module")
def folders(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    out, made = tmp_path_factory.mktemp("exports"), {}
    for name, kind in (
        ("causal", "transformers"),
        ("masked", "transformers"),
        *((name, "sentence-transformers") for name in models),
    ):
        done = export(ExportOptions(model=str(models[name]), out=out / f"{name}-{kind}", format=kind))  # type: ignore[arg-type]
        assert done.difference is not None
        assert done.difference <= TOLERANCE
        made[name, kind] = done.out
    return made


def base_metrics(model: Path, texts: Path) -> dict[str, Any]:
    return evaluate_base(EvalOptions(text=[str(texts)]), load(model), SkippedRows())


@pytest.mark.parametrize(
    ("name", "class_"), [("causal", "ModernBertDecoderModel"), ("masked", "ModernBertModel"), ("mtl", "ModernBertModel")]
)
def test_sentence_transformers_loads_them(
    name: str, class_: str, models: dict[str, Path], folders: dict[tuple[str, str], Path]
) -> None:
    folder, ours = folders[name, "sentence-transformers"], load(models[name])
    assert json.loads((folder / "config.json").read_text())["architectures"] == [class_]
    np.testing.assert_allclose(encode(folder, TEXTS), ours.embed(TEXTS), atol=1e-5)
    np.testing.assert_allclose(load(folder).embed(TEXTS), ours.embed(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "auto", "class_"),
    [
        ("causal", "AutoModelForCausalLM", "ModernBertDecoderForCausalLM"),
        ("masked", "AutoModelForMaskedLM", "ModernBertForMaskedLM"),
    ],
)
def test_every_weight_is_loaded_and_states_and_logits_are_those_of_the_base(
    name: str, auto: str, class_: str, models: dict[str, Path], folders: dict[tuple[str, str], Path]
) -> None:
    with silence.silence():
        model, info = getattr(transformers, auto).from_pretrained(folders[name, "transformers"], output_loading_info=True)
    assert (type(model).__name__, info["missing_keys"], info["unexpected_keys"]) == (class_, set(), set())
    weights = load_weights(models[name], head=True)
    encoder, ids = own_encoder(weights.model.backbone), weights.encoder.encode([TEXT]).ids.astype(np.int64)
    batch, targets = window_batch(ids, np.roll(ids, -1), len(ids), torch.device("cpu"))
    with torch.no_grad():
        theirs = model(torch.from_numpy(ids)[None], labels=torch.from_numpy(ids)[None], output_hidden_states=True)
        torch.testing.assert_close(theirs.logits[0], token_logits(encoder, batch, weights.head), atol=1e-5, rtol=1e-5)
        states = model.model(torch.from_numpy(ids)[None]).last_hidden_state[0]
        torch.testing.assert_close(states, encoder(batch), atol=1e-5, rtol=1e-5)
        if name == "causal":
            losses = token_losses(encoder, batch, targets, weights.head)[:-1]
            assert float(theirs.loss) == pytest.approx(float(losses.mean()), abs=1e-5)
        else:
            assert weights.head is not None
            masked = MaskedLanguageModel(encoder, weights.head)
            losses, _ = masked.scored(batch, torch.arange(len(ids)), torch.from_numpy(ids))
            assert float(theirs.loss) == pytest.approx(float(losses.mean()), abs=1e-5)


def test_masks_are_filled_in_and_texts_continued(folders: dict[tuple[str, str], Path]) -> None:
    with silence.silence():
        fill = transformers.pipeline("fill-mask", model=str(folders["masked", "transformers"]), device="cpu")
        generate = transformers.pipeline("text-generation", model=str(folders["causal", "transformers"]), device="cpu")
        filled = fill(f"The cat {fill.tokenizer.mask_token} near the river.")
        both = generate(["The cat", "A saw cuts the"], max_new_tokens=4, do_sample=False, batch_size=2)
        alone = generate("The cat", max_new_tokens=4, do_sample=False)
    assert fill.tokenizer.mask_token == "<pad>"
    assert len(filled) == 5
    assert both[0] == alone  # padding on the left changes nothing
    assert alone[0]["generated_text"].startswith("The cat")


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_exports_are_trained_further_as_the_base_would_be(
    name: str, models: dict[str, Path], folders: dict[tuple[str, str], Path], data: Path, tmp_path: Path
) -> None:
    more: dict[str, Any] = {"sources": [str(data / "kind" / "train.csv")], "tokens": 256, "context": 32, "batch_tokens": 256}
    runs = [
        pretrain(PretrainOptions(init=str(start), out=tmp_path / kind, **more))
        for kind, start in (("run", models[name]), ("export", folders[name, "transformers"]))
    ]
    assert runs[0].metrics["loss"] == pytest.approx(runs[1].metrics["loss"], abs=1e-5)
    files = [load_weights(run.run, head=True).head for run in runs]
    assert files[0] is not None
    assert files[1] is not None
    torch.testing.assert_close(files[0].state_dict(), files[1].state_dict(), atol=1e-5, rtol=1e-4)


def test_perplexity_is_that_of_the_export(models: dict[str, Path], folders: dict[tuple[str, str], Path], tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join([TEXT, "A saw lies on the bench."] * 20))
    losses = [
        base_metrics(model, tmp_path / "texts.txt")["loss"] for model in (models["causal"], folders["causal", "transformers"])
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_a_causal_folder_without_the_head_predicts_nothing(
    folders: dict[tuple[str, str], Path], data: Path, tmp_path: Path
) -> None:
    bare = str(folders["causal", "sentence-transformers"])
    with pytest.raises(UsageError, match="predicts the next token or masked tokens"):
        base_metrics(Path(bare), data / "kind" / "train.csv")
    done = pretrain(PretrainOptions(sources=[str(data / "kind" / "train.csv")], init=bare, epochs=1, out=tmp_path / "run"))
    assert load_weights(done.run, head=True).head is not None  # a fresh one


def test_a_base_turned_bidirectional_keeps_its_head(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    source = [str(data / "kind" / "train.csv")]
    options = PretrainOptions(sources=source, init=str(models["causal"]), objective="mlm", tokens=1, out=tmp_path / "turned")
    run, heads = pretrain(options).run, []
    for model in (models["causal"], run):
        head = load_weights(model, head=True).head
        assert head is not None
        heads.append(head.dense.weight)
    torch.testing.assert_close(*heads, atol=1e-3, rtol=0)
    assert load_weights(run).checkpoint.architecture.attention == "bidirectional"
    done = export(ExportOptions(model=str(run), out=tmp_path / "out", format="transformers"))
    assert json.loads((done.out / "config.json").read_text())["architectures"] == ["ModernBertForMaskedLM"]


def test_without_a_head_no_language_model_is_written(models: dict[str, Path], tmp_path: Path) -> None:
    weights = load_weights(models["masked"])
    encoder, encoding = own_encoder(weights.model.backbone), weights.checkpoint.encoding
    with pytest.raises(UsageError, match=r"ModernBertForMaskedLM needs.*--format sentence-transformers"):
        write_language_model(tmp_path, encoder, None, encoding, tokenizer_facts(weights))
    biased = PredictionHead(encoder.architecture, norm_bias=True)
    with pytest.raises(UsageError, match=r"ModernBertForMaskedLM has no biases in norms"):
        write_language_model(tmp_path, encoder, biased, encoding, tokenizer_facts(weights))


def test_tokens_that_a_config_names_are_of_the_vocabulary(folders: dict[tuple[str, str], Path]) -> None:
    for folder in folders.values():
        config = json.loads((folder / "config.json").read_text())
        ids = [config[f"{name}_token_id"] for name in ("bos", "eos", "cls", "sep", "pad")]
        assert ids[:2] == ids[2:4]
        assert all(number < config["vocab_size"] for number in ids)


@pytest.mark.parametrize("kind", ["causal", "masked"])
def test_a_compact_base_keeps_its_head(kind: str, models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    done = export(ExportOptions(model=str(models[kind]), out=tmp_path / "compact", format="compact"))
    options = EvalOptions(text=[str(data / "state" / "train.csv")])
    whole, small = (evaluate_base(options, load(path), SkippedRows()) for path in (models[kind], done.out))
    assert small["perplexity"] == pytest.approx(whole["perplexity"], rel=0.05)
    with pytest.raises(UsageError, match="an export, so the texts that its base held out are not known; name texts"):
        evaluate_base(EvalOptions(), load(done.out), SkippedRows())


def test_perplexity_in_int8_is_refused(models: dict[str, Path]) -> None:
    options = EvalOptions(precision="int8")
    with pytest.raises(UsageError, match="int8 applies to vectors and heads, not to the perplexity of a base"):
        evaluate_base(options, load(models["causal"]), SkippedRows())
