"""A causal base as transformers generates with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exports import TEXTS, Export

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import LoadedWeights, load_weights
from mtlkit.model.interop import silence
from mtlkit.model.language import next_token_loss
from mtlkit.recipes.export import choose_export, export
from mtlkit.recipes.exporting.formats.base import format_of
from mtlkit.recipes.exporting.verify import TOLERANCE
from mtlkit.recipes.pretrain import pretrain
from mtlkit.training.pretraining import window_batch

transformers: Any = pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # other libraries' own

PROMPT = "The cat sleeps"


@pytest.fixture(scope="module")
def base(sources: dict[str, Path]) -> LoadedWeights:
    return load_weights(sources["causal"])


@pytest.fixture(scope="module")
def folder(exported: Export) -> Path:
    return exported("causal", "transformers").out


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[Any, Any]:
    """The model and the tokenizer, as transformers' users load them."""
    with silence.silence():
        model = transformers.AutoModelForCausalLM.from_pretrained(folder)
        return model, transformers.AutoTokenizer.from_pretrained(folder)


def loss_of(base: LoadedWeights, ids: Sequence[int]) -> float:
    window = np.array(ids)
    batch, targets = window_batch(window[:-1], window[1:], len(ids) - 1, torch.device("cpu"))
    with torch.no_grad():
        return float(next_token_loss(base.model.backbone, batch, targets))


def test_every_weight_is_loaded_and_the_loss_is_that_of_the_base(
    base: LoadedWeights, folder: Path, loaded: tuple[Any, Any]
) -> None:
    model, tokenizer = loaded
    assert type(model).__name__ == "GPT2LMHeadModel"
    with silence.silence():
        _, info = transformers.AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.lm_head.weight is model.transformer.wte.weight
    for text in [*TEXTS, PROMPT]:
        ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
        assert ids == base.encoder.encode([text]).ids.tolist()
        inputs = torch.tensor([ids])
        with torch.no_grad():
            assert float(model(inputs, labels=inputs).loss) == pytest.approx(loss_of(base, ids), abs=1e-5)


def test_a_prompt_is_continued_and_not_ended(base: LoadedWeights, folder: Path, exported: Export) -> None:
    with silence.silence():
        generate = transformers.pipeline("text-generation", model=str(folder), device="cpu")
        vectors = transformers.AutoTokenizer.from_pretrained(exported("causal", "sentence-transformers").out)
    ids = generate.tokenizer(PROMPT)["input_ids"]
    end = generate.tokenizer.eos_token_id
    assert vectors(PROMPT)["input_ids"] == [*ids, end]  # a vector is that of a whole text
    assert ids[0] == generate.tokenizer.bos_token_id
    assert end not in ids
    wanted = list(ids)
    for _ in range(5):
        with torch.no_grad():
            batch, _ = window_batch(np.array(wanted), np.array(wanted), len(wanted), torch.device("cpu"))
            states = base.model.backbone(batch)
        wanted.append(int((states[-1] @ base.model.backbone.tokens.weight.T).argmax()))
    assert end not in wanted[:-1]
    with silence.silence():
        made = generate(PROMPT, max_new_tokens=5, do_sample=False, return_tensors=True)[0]["generated_token_ids"]
        texts = generate([PROMPT, "A saw"], max_new_tokens=5, do_sample=False, batch_size=2)
        alone = generate("A saw", max_new_tokens=5, do_sample=False)
        whole = generate(PROMPT, do_sample=False)[0]["generated_text"]
    assert list(made) == wanted
    assert texts[0][0]["generated_text"] == generate.tokenizer.decode(wanted, skip_special_tokens=True)
    assert texts[0][0]["generated_text"].startswith(PROMPT)
    assert texts[1] == alone  # the shorter prompt is padded on its left
    assert whole.startswith(texts[0][0]["generated_text"])  # to its end or that of the context, not beyond


def test_settings_and_card(folder: Path, exported: Export) -> None:
    done = exported("causal", "transformers")
    assert done.difference is not None
    assert done.difference <= TOLERANCE
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["tie_word_embeddings"]) == (["GPT2LMHeadModel"], True)
    assert json.loads((folder / "generation_config.json").read_text()) == {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "max_length": 32,
    }
    front, _, card = (folder / "README.md").read_text().removeprefix("---\n").partition("---\n")
    assert front.splitlines()[:2] == ["library_name: transformers", "metrics:"]
    assert "pipeline_tag: text-generation" in front.splitlines()
    assert f'pipeline("text-generation", model="{folder.name}")' in card
    assert "at most 32 tokens" in card


@pytest.mark.parametrize("kind", ["bidirectional", "bert"])
def test_other_models_are_refused_with_a_format_that_holds_them(kind: str, sources: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"a sentence encoder with task heads, as only bases predict .* --format sentence-transformers"
    ):
        choose_export(ExportOptions(model=str(sources[kind]), out=tmp_path / "out", format="transformers"))


def test_a_base_for_masked_tokens_with_other_blocks_is_refused_with_what_is_nearest(data: Path, tmp_path: Path) -> None:
    shape: dict[str, Any] = {"block": "gpt2", "layers": 1, "dim": 16, "heads": 1, "vocab_size": 300, "context": 16}
    pretrain(
        PretrainOptions(sources=[str(data / "kind" / "train.csv")], tokens=1, objective="mlm", out=tmp_path / "base", **shape)
    )
    with pytest.raises(
        UsageError, match=r"whose blocks are not modern; use --format sentence-transformers for its vectors, or .* --block modern"
    ):
        choose_export(ExportOptions(model=str(tmp_path / "base"), out=tmp_path / "out", format="transformers"))
    export(ExportOptions(model=str(tmp_path / "base"), out=tmp_path / "out", format="sentence-transformers"))


def test_the_newest_base_is_exported_by_default(runs: Path, tmp_path: Path) -> None:
    assert choose_export(ExportOptions(runs=runs, out=tmp_path / "out", format="transformers")).model.path == runs / "pretrain"
    with pytest.raises(UsageError, match="cannot hold mini, a sentence encoder"):
        choose_export(ExportOptions(runs=tmp_path, out=tmp_path / "out", format="transformers"))


def test_an_export_that_ends_prompts_is_not_kept(
    sources: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_of("transformers"), "tokenizer", lambda weights: weights.encoder.tokenizer)
    with pytest.raises(IntegrityError, match=r"reads the prompt '' as tokens 1, 2, not 1; nothing was written"):
        export(ExportOptions(model=str(sources["causal"]), out=tmp_path / "out", format="transformers"))
    assert not list(tmp_path.iterdir())


def test_it_is_read_with_both_ends_of_texts(base: LoadedWeights, sources: dict[str, Path], folder: Path) -> None:
    read, texts = load(folder), [*TEXTS, PROMPT]
    assert read.encode(texts).ids.tolist() == base.encoder.encode(texts).ids.tolist()
    np.testing.assert_allclose(read.embed(texts), load(sources["causal"]).embed(texts), atol=1e-6)


def test_without_the_token_that_ends_texts_it_is_damaged(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "special_tokens_map.json"
    path.write_text(path.read_text().replace("eos_token", "end_token"))
    with pytest.raises(IntegrityError, match=r"special_tokens_map.json: damaged .*no token 'None'"):
        load(tmp_path / "copy")
