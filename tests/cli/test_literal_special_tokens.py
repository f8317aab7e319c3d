"""`--literal-special-tokens`: whether texts may hold the special tokens of their model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exports import encode
from wrapped import Wrap

from mtlkit.inference.load_model import load

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries
TEXTS = ["a cat [SEP] a hammer", "[MASK]", "The cat[PAD] sleeps."]
LITERAL, READ = "--literal-special-tokens", "--no-literal-special-tokens"


def embedded(typed: Any, model: Path, *options: str) -> Any:
    answer = typed("embed", *TEXTS, "--model", model, "--json", *options)
    assert answer.code == 0, answer.err
    return np.array([row["vector"] for row in json.loads(answer.out)["vectors"]])


def test_a_pretrained_model_reads_them_as_its_own_library_does(typed: Any, wrap: Wrap) -> None:
    folder = wrap()
    theirs = encode(folder, TEXTS)
    np.testing.assert_allclose(embedded(typed, folder), theirs, atol=1e-5)
    np.testing.assert_allclose(embedded(typed, folder, READ), theirs, atol=1e-5)
    literal = embedded(typed, folder, LITERAL)
    assert np.abs(literal - theirs).max() > 0.01
    np.testing.assert_allclose(load(folder, literal_special_tokens=True).embed(TEXTS), literal, atol=1e-5)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "split_special_tokens": True}))
    np.testing.assert_allclose(embedded(typed, folder), literal, atol=1e-5)
    np.testing.assert_allclose(encode(folder, TEXTS), literal, atol=1e-5)


def test_a_tokenizer_that_mtlkit_trained_reads_them_as_text(typed: Any, runs: Path) -> None:
    model = load(runs / "sentence")
    (bos,) = model.encoder.before
    assert bos not in model.encode(["<bos> a cat"]).ids[1:]
    read = load(runs / "sentence", literal_special_tokens=False)
    assert read.encode(["<bos> a cat"]).ids[:2].tolist() == [bos, bos]
    answer = typed("embed", "<bos>", "--model", runs / "sentence", "--json", READ)
    vector = json.loads(answer.out)["vectors"][0]["vector"]
    np.testing.assert_allclose(vector, read.embed(["<bos>"])[0], atol=1e-5)


@pytest.mark.parametrize("option", [None, LITERAL])
def test_run_and_export_keep_the_active_settings(option: str | None, typed: Any, wrap: Wrap, data: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "export"
    given = [] if option is None else [option]
    folder = wrap()
    answer = typed("train-mtl", "--init", folder, "--task", f"kind={data / 'kind'}", "--epochs", 1, "--out", run, *given)
    assert answer.code == 0, answer.err
    assert json.loads((run / "config.json").read_text())["encoding"]["literal_special_tokens"] is (option is not None)
    assert (LITERAL in json.loads((run / "run.json").read_text())["command"]) is (option is not None)
    kept = embedded(typed, run)
    np.testing.assert_allclose(kept, embedded(typed, run, LITERAL if option else READ), atol=1e-6)
    assert np.abs(kept - embedded(typed, run, READ if option else LITERAL)).max() > 0.001
    answer = typed("export", run, out)
    assert answer.code == 0, answer.err
    np.testing.assert_allclose(encode(out, TEXTS), kept, atol=1e-5)
    told = json.loads((out / "special_tokens_map.json").read_text())
    assert (told["unk_token"], told["mask_token"], told["pad_token"]) == ("[UNK]", "[MASK]", "[PAD]")
