"""`--prompt`, and the other settings of a model's vectors, from the command line."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wrapped import Wrap

from mtlkit.inference.load_model import load
from mtlkit.recipes import export as recipe

pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries
TEXTS = ["guitar", "a hammer", "The cat sleeps."]
PROMPTS = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}


@pytest.fixture
def folder(wrap: Wrap) -> Path:
    return wrap(similarity_fn_name="dot", truncate_dim=9, **PROMPTS)


def vectors(answer: Any) -> Any:
    assert answer.code == 0, answer.err
    return np.array([row["vector"] for row in json.loads(answer.out)["vectors"]])


def test_active_prompt_is_shown_and_used(typed: Any, folder: Path) -> None:
    model = load(folder)
    for asked, words in (
        (None, "'query: ' (query, the model's default)"),
        ("passage", "'passage: ' (passage)"),
        ("none", "prompt: none"),
        ("", "prompt: none"),
        ("qery", "'qery' (literal text); did you mean 'query'?"),
    ):
        answer = typed("embed", *TEXTS, "--model", folder, "--json", *([] if asked is None else ["--prompt", asked]))
        np.testing.assert_allclose(vectors(answer), model.embed(TEXTS, prompt=asked), atol=1e-5)
        assert words in " ".join(answer.err.split())


def test_lengths_asked_for_win_over_that_of_the_model(typed: Any, folder: Path) -> None:
    model = load(folder)
    assert vectors(typed("embed", *TEXTS, "--model", folder, "--json")).shape == (3, 9)
    whole = vectors(typed("embed", *TEXTS, "--model", folder, "--json", "--dim", 32))
    np.testing.assert_allclose(whole, model.embed(TEXTS, dim=32), atol=1e-5)
    np.testing.assert_allclose(whole[:, :9], model.embed(TEXTS), atol=1e-5)


def test_similarity_is_that_of_the_model(typed: Any, folder: Path) -> None:
    document = json.loads(typed("embed", "--similarity", *TEXTS, "--model", folder, "--json").out)
    made = load(folder).embed(TEXTS)
    assert document["similarity"] == "dot"
    np.testing.assert_allclose(document["similarities"], made @ made.T, rtol=1e-4)
    shown = typed("embed", "--similarity", *TEXTS, "--model", folder, terminal=True).out
    assert "dot product" in shown
    assert "cosine" not in shown


def test_sts_measures_with_the_similarity_and_the_prompt_of_the_model(typed: Any, folder: Path, tmp_path: Path) -> None:
    rows = [(one, other, abs(len(one) - len(other))) for one in TEXTS for other in TEXTS]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps({"sentence1": a, "sentence2": b, "score": c}) + "\n" for a, b, c in rows))
    model = load(folder)
    found = []
    for asked in (None, "passage"):
        given = [] if asked is None else ["--prompt", asked]
        (sts,) = json.loads(typed("eval", "--model", folder, "--sts", path, "--json", *given).out)["sts"]
        first, second = (model.embed([row[side] for row in rows], prompt=asked).astype(float) for side in (0, 1))
        wanted = np.corrcoef((first * second).sum(1), [row[2] for row in rows])[0, 1]
        assert sts["pearson"] == pytest.approx(wanted, abs=2e-3)  # nine float32 dot products that hardly differ
        assert (sts["similarity"], sts["dim"]) == ("dot", 9)
        found.append(wanted)
    assert abs(found[0] - found[1]) > 0.01


@pytest.mark.parametrize(("prompt", "words"), [("many words " * 60, "maximum length"), ("caf\udce9 ", "not UTF-8")])
def test_a_prompt_that_cannot_be_used_is_one_line(prompt: str, words: str, typed: Any, folder: Path) -> None:
    answer = typed("embed", "guitar", "--model", folder, "--prompt", prompt)
    assert answer.code == 2
    assert words in " ".join(answer.err.split())


def test_parts_of_another_prompt_are_not_resumed(typed: Any, folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    texts, output = tmp_path / "texts.txt", tmp_path / "vectors.npy"
    texts.write_text("\n".join(TEXTS))
    from mtlkit.data.outputs.resumable_output import OutputParts

    def broken(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OutputParts, "assemble", broken)
        typed("embed", "--input", texts, "--output", output, "--model", folder)
    answer = typed("embed", "--input", texts, "--output", output, "--model", folder, "--resume", "--prompt", "passage")
    assert answer.code == 2
    assert "prompt" in answer.err
    assert typed("embed", "--input", texts, "--output", output, "--model", folder, "--resume").code == 0
    np.testing.assert_allclose(np.load(output), load(folder).embed(TEXTS), atol=1e-5)


def test_a_training_records_its_prompt_and_later_commands_use_it(typed: Any, data: Path, runs: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    heads = ["--task", f"kind={data}", "--new-classes", "fresh"]
    asked = ["train-mtl", "--init", runs / "sentence", *heads, "--epochs", 1, "--prompt", "is it alive? "]
    answer = typed(*asked, "--out", run)
    assert answer.code == 0, answer.err
    assert "'is it alive? ' (literal text)" in " ".join(answer.err.split())
    assert json.loads((run / "run.json").read_text())["options"]["prompt"] == "is it alive? "
    settings = json.loads((run / "config.json").read_text())["vectors"]
    assert settings["prompts"][settings["default_prompt"]] == "is it alive? "
    spoken = [f"is it alive? {text}" for text in TEXTS]
    by_default = json.loads(typed("predict", *TEXTS, "--model", run, "--json").out)["predictions"]
    by_hand = json.loads(typed("predict", *spoken, "--model", run, "--json", "--prompt", "none").out)["predictions"]
    assert [row["tasks"] for row in by_default] == [row["tasks"] for row in by_hand]
    with_it, without = (
        json.loads(typed("eval", "--model", run, "--json", *more).out)["tasks"]["kind"] for more in ([], ["--prompt", "none"])
    )
    assert with_it != without
    resumed = typed(*asked[:-1], "something else ", "--out", run, "--resume")
    assert resumed.code == 2
    assert "--prompt" in resumed.err


def test_missing_library_is_reported_with_what_was_compared(typed: Any, folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda name: None if name == "sentence_transformers" else find_spec(name))
    answer = typed("export", folder, tmp_path / "out", "--format", "compact", "--json")
    assert answer.code == 0, answer.err
    assert "compared with mtlkit's own vectors" in " ".join(answer.err.split())
    assert json.loads(answer.out)["largest_difference_from_source"] is None


def test_unknown_settings_are_mentioned_once(typed: Any, folder: Path) -> None:
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "flavour": 3}))
    answer = typed("embed", "guitar", "--model", folder)
    assert answer.err.count("config_sentence_transformers.json (flavour)") == 1
